package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	kwoksignals "sigs.k8s.io/kwok/pkg/utils/signals"

	_ "time/tzdata"

	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

//go:embed audit-policy.yaml
var auditPolicy []byte

//go:embed kwok.yaml
var kwokYAML string

//go:embed scheduler.yaml
var schedulerYAML string

func component(name string, args []string) (stateDir, ports, error) {
	s, err := parseState(flag.NewFlagSet(name, flag.ExitOnError), args)
	if err != nil {
		return "", ports{}, err
	}
	p, err := s.ports()
	return s, p, err
}

func cmdEtcd(args []string) error {
	s, p, err := component("etcd", args)
	if err != nil {
		return err
	}
	at := func(port int) []url.URL {
		return []url.URL{{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}}
	}
	cfg := embed.NewConfig()
	cfg.Name = "default"
	cfg.Dir = s.path("etcd")
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = at(p.Etcd), at(p.Etcd)
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = at(p.EtcdPeer), at(p.EtcdPeer)
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.UnsafeNoFsync = true
	cfg.LogLevel = "error"
	cfg.QuotaBackendBytes = 4 << 30
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		return nil
	case err := <-e.Err():
		return err
	}
}

func cmdAPIServer(args []string) error {
	s, p, err := component("apiserver", args)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path("audit-policy.yaml"), auditPolicy, 0o600); err != nil {
		return err
	}
	// Less time in the garbage collector: seeding is bound by this process.
	debug.SetGCPercent(200)
	cmd := apiserver.NewAPIServerCommand()
	cmd.SetArgs([]string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", p.Etcd),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", p.API),
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--tls-cert-file=" + s.pki("apiserver.crt"),
		"--tls-private-key-file=" + s.pki("apiserver.key"),
		"--client-ca-file=" + s.pki("ca.crt"),
		"--cert-dir=" + s.path("pki"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + s.pki("sa.key"),
		"--service-account-signing-key-file=" + s.pki("sa.key"),
		"--kubelet-client-certificate=" + s.pki("kubelet-client.crt"),
		"--kubelet-client-key=" + s.pki("kubelet-client.key"),
		// Fake nodes keep believable addresses; their kubelet is on localhost.
		"--kubelet-preferred-address-types=InternalDNS",
		"--requestheader-client-ca-file=" + s.pki("ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + s.pki("front-proxy.crt"),
		"--proxy-client-key-file=" + s.pki("front-proxy.key"),
		"--authorization-mode=RBAC",
		"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
		"--allow-privileged=true",
		"--max-requests-inflight=2000",
		"--max-mutating-requests-inflight=1000",
		"--audit-policy-file=" + s.path("audit-policy.yaml"),
		"--audit-log-path=" + s.path("logs", "audit.log"),
		"--audit-log-maxsize=1000",
		"--profiling=false",
	})
	os.Exit(cli.Run(cmd))
	return nil
}

func cmdControllerManager(args []string) error {
	s, _, err := component("controller-manager", args)
	if err != nil {
		return err
	}
	cmd := controllermanager.NewControllerManagerCommand()
	cmd.SetArgs([]string{
		"--kubeconfig=" + s.path("controller-manager.kubeconfig"),
		"--secure-port=0",
		"--leader-elect=false",
		"--use-service-account-credentials=false",
		"--service-account-private-key-file=" + s.pki("sa.key"),
		"--root-ca-file=" + s.pki("ca.crt"),
		"--cluster-signing-cert-file=" + s.pki("ca.crt"),
		"--cluster-signing-key-file=" + s.pki("ca.key"),
		// Nodes and the pods on them are whatever a test says they are.
		"--controllers=*,-node-lifecycle-controller,-taint-eviction-controller,-device-taint-eviction-controller," +
			"-node-ipam-controller,-persistentvolume-attach-detach-controller",
		"--terminated-pod-gc-threshold=0",
		"--concurrent-deployment-syncs=20",
		"--concurrent-replicaset-syncs=20",
		"--concurrent-gc-syncs=20",
		"--endpoint-updates-batch-period=1s",
		"--endpointslice-updates-batch-period=1s",
		"--kube-api-qps=2000",
		"--kube-api-burst=4000",
		"--profiling=false",
	})
	os.Exit(cli.Run(cmd))
	return nil
}

func cmdScheduler(args []string) error {
	s, _, err := component("scheduler", args)
	if err != nil {
		return err
	}
	file := s.path("scheduler.yaml")
	y := strings.ReplaceAll(schedulerYAML, "@KUBECONFIG@", s.path("scheduler.kubeconfig"))
	if err := os.WriteFile(file, []byte(y), 0o600); err != nil {
		return err
	}
	cmd := scheduler.NewSchedulerCommand()
	cmd.SetArgs([]string{"--config=" + file, "--secure-port=0"})
	os.Exit(cli.Run(cmd))
	return nil
}

// cmdKwok runs the fake kubelets: they mark nodes Ready and pods Running, and
// answer logs, exec, attach and port-forward.
func cmdKwok(args []string) error {
	s, p, err := component("kwok", args)
	if err != nil {
		return err
	}
	echo, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.Echo))
	if err != nil {
		return err
	}
	go http.Serve(echo, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:errcheck
		fmt.Fprintf(w, "hello from a fake pod: %s %s\n", r.Method, r.URL.Path)
	}))
	for name, text := range map[string]string{"pod.log": sampleLog(400), "pod-previous.log": sampleLog(40)} {
		if _, err := os.Stat(s.path("logs", name)); err != nil {
			if err := os.WriteFile(s.path("logs", name), []byte(text), 0o600); err != nil {
				return err
			}
		}
	}
	y := strings.NewReplacer(
		"@LOG@", s.path("logs", "pod.log"),
		"@PREVIOUS@", s.path("logs", "pod-previous.log"),
		"@EXEC@", s.path("exec"),
		"@ECHO@", fmt.Sprint(p.Echo),
	).Replace(kwokYAML)
	docs := []string{y, nodefast.DefaultNodeInit, podfast.DefaultPodReady, podfast.DefaultPodComplete, podfast.DefaultPodDelete}
	file := s.path("kwok.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(docs, "\n---\n")), 0o600); err != nil {
		return err
	}
	// Cobra adds the process-wide flags to every command, and among those of
	// Kubernetes is a "version" that kwok's own clashes with.
	pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	os.Args = []string{
		"kwok",
		"--config=" + file,
		"--kubeconfig=" + s.path("kwok.kubeconfig"),
		"--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
		"--node-lease-duration-seconds=0",
		"--cidr=10.244.0.0/16",
		"--node-ip=127.0.0.1",
		fmt.Sprintf("--node-port=%d", p.Kubelet),
		fmt.Sprintf("--server-address=127.0.0.1:%d", p.Kubelet),
		"--tls-cert-file=" + s.pki("kubelet.crt"),
		"--tls-private-key-file=" + s.pki("kubelet.key"),
	}
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, _ := kwoklog.InitFlags(kwoksignals.SetupSignalContext(), flags)
	ctx, err = kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		return err
	}
	cmd := kwok.NewCommand(ctx)
	cmd.PersistentFlags().AddFlagSet(flags)
	return cmd.ExecuteContext(ctx)
}

func cmdWaitReady(args []string) error {
	fs := flag.NewFlagSet("wait-ready", flag.ExitOnError)
	timeout := fs.Duration("timeout", 120*time.Second, "how long to wait")
	s, err := parseState(fs, args)
	if err != nil {
		return err
	}
	c, err := s.client("controlplane-wait")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	for {
		_, err := c.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API server was not ready after %s: %w", *timeout, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// cmdAudit counts the requests in the audit log by user agent, verb and
// resource; a watch counts once, when it starts.
func cmdAudit(args []string) error {
	fs := flag.NewFlagSet("audit", flag.ExitOnError)
	since := fs.Int64("offset", 0, "start at this byte of the audit log")
	agent := fs.String("agent", "", "only user agents that contain this")
	s, err := parseState(fs, args)
	if err != nil {
		return err
	}
	f, err := os.Open(s.path("logs", "audit.log"))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(*since, 0); err != nil {
		return err
	}
	counts := map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct {
			Stage, Verb, UserAgent, RequestURI string
			ObjectRef                          struct{ Resource, Subresource string }
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil || !strings.Contains(e.UserAgent, *agent) {
			continue
		}
		long := e.Verb == "watch" || e.ObjectRef.Subresource == "log" || e.ObjectRef.Subresource == "exec"
		if (e.Stage == "ResponseStarted") != long {
			continue
		}
		what := e.ObjectRef.Resource
		if what == "" {
			what, _, _ = strings.Cut(e.RequestURI, "?")
		}
		if e.ObjectRef.Subresource != "" {
			what += "/" + e.ObjectRef.Subresource
		}
		counts[e.UserAgent+"\t"+e.Verb+"\t"+what]++
	}
	keys := make([]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		fmt.Printf("%d\t%s\n", counts[k], k)
	}
	return lines.Err()
}
