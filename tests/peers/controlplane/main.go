// Command controlplane runs a real Kubernetes control plane on loopback, one
// component per process, and fills it with fake nodes and pods. It is a peer
// for Quarterdeck's tests and benchmarks and is driven by run.sh.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
)

var commands = map[string]func(args []string) error{
	"init":               cmdInit,
	"user":               cmdUser,
	"etcd":               cmdEtcd,
	"apiserver":          cmdAPIServer,
	"controller-manager": cmdControllerManager,
	"scheduler":          cmdScheduler,
	"kwok":               cmdKwok,
	"wait-ready":         cmdWaitReady,
	"seed":               cmdSeed,
	"churn":              cmdChurn,
	"shapes":             cmdShapes,
	"logs":               cmdLogs,
	"audit":              cmdAudit,
}

func main() {
	if filepath.Base(os.Args[0]) == "kubectl" {
		runKubectl()
		return
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		names := make([]string, 0, len(commands))
		for n := range commands {
			names = append(names, n)
		}
		sort.Strings(names)
		fmt.Fprintf(os.Stderr, "usage: controlplane {%s} --state DIR ...\n(called as \"kubectl\" it is kubectl)\n", strings.Join(names, "|"))
		os.Exit(2)
	}
	watchOwner()
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "controlplane %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func runKubectl() {
	logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)) //nolint:errcheck
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}

// watchOwner ends this process once the process named by
// CONTROLPLANE_OWNER_PID is gone, so that a test that dies leaves nothing
// running behind it.
func watchOwner() {
	var pid int
	if _, err := fmt.Sscan(os.Getenv("CONTROLPLANE_OWNER_PID"), &pid); err != nil || pid <= 1 {
		return
	}
	go func() {
		for {
			time.Sleep(time.Second)
			if err := syscall.Kill(pid, 0); err == syscall.ESRCH {
				os.Exit(0)
			}
		}
	}()
}
