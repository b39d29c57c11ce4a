package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	shapesNamespace = "shapes"
	shapeNode       = "shape-node-ready"
	lostNode        = "shape-node-lost"
	cordonedNode    = "shape-node-cordoned"
)

// A shape is a pod written straight into the API, spec and status, and what
// kubectl must print for it.
type shape struct {
	name     string
	ready    string
	status   string
	restarts string

	node       string // "" leaves the pod unscheduled
	policy     corev1.RestartPolicy
	init       []corev1.Container
	containers []corev1.Container
	phase      corev1.PodPhase
	reason     string
	message    string
	inits      []corev1.ContainerStatus
	statuses   []corev1.ContainerStatus
	conditions []corev1.PodCondition
	change     func(p *corev1.Pod)
	deleted    bool
}

func ctr(name string) corev1.Container {
	return corev1.Container{
		Name: name, Image: "registry.example/shapes/" + name + ":1.0",
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")},
		},
	}
}

func ctrs(names ...string) []corev1.Container {
	var out []corev1.Container
	for _, n := range names {
		out = append(out, ctr(n))
	}
	return out
}

func sidecar(name string) corev1.Container {
	c := ctr(name)
	always := corev1.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	return c
}

func ago(d time.Duration) metav1.Time { return metav1.NewTime(time.Now().Add(-d)) }

func base(name string, ready, started bool, state corev1.ContainerState) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: name, Image: "registry.example/shapes/" + name + ":1.0",
		ImageID: "registry.example/shapes/" + name + "@sha256:0000000000000000000000000000000000000000000000000000000000000000",
		Ready:   ready, Started: &started, State: state,
	}
}

func running(name string, ready bool) corev1.ContainerStatus {
	return base(name, ready, true, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(time.Hour)}})
}

func waiting(name, reason, message string) corev1.ContainerStatus {
	return base(name, false, false, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}})
}

// lastEnd is half-way through an hour, so that what is printed of it ("10h
// ago") holds for half an hour after the shapes are made.
const lastEnd = 10*time.Hour + 30*time.Minute

func ended(code, signal int32, reason string) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{
		ExitCode: code, Signal: signal, Reason: reason,
		StartedAt: ago(11 * time.Hour), FinishedAt: ago(lastEnd),
	}
}

func terminated(name string, code, signal int32, reason string) corev1.ContainerStatus {
	return base(name, false, false, corev1.ContainerState{Terminated: ended(code, signal, reason)})
}

// again gives a status some restarts and, unless the code is negative, the
// way the last run ended.
func again(st corev1.ContainerStatus, n, code int32, reason string) corev1.ContainerStatus {
	st.RestartCount = n
	if code >= 0 {
		st.LastTerminationState.Terminated = ended(code, 0, reason)
	}
	return st
}

func cond(t corev1.PodConditionType, ok bool, reason string) corev1.PodCondition {
	c := corev1.PodCondition{Type: t, Status: corev1.ConditionFalse, Reason: reason, LastTransitionTime: ago(time.Hour)}
	if ok {
		c.Status = corev1.ConditionTrue
	}
	return c
}

func conds(initialized, ready bool) []corev1.PodCondition {
	why := ""
	if !ready {
		why = "ContainersNotReady"
	}
	return []corev1.PodCondition{
		cond(corev1.PodScheduled, true, ""),
		cond(corev1.PodInitialized, initialized, ""),
		cond(corev1.ContainersReady, ready, why),
		cond(corev1.PodReady, ready, why),
	}
}

func statuses(s ...corev1.ContainerStatus) []corev1.ContainerStatus { return s }

func allShapes() []shape {
	const (
		pend = corev1.PodPending
		run  = corev1.PodRunning
		ok   = corev1.PodSucceeded
		fail = corev1.PodFailed
	)
	never, onFailure := corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure
	initWait := statuses(waiting("app", "PodInitializing", ""))
	one := func(name, status string, phase corev1.PodPhase, st corev1.ContainerStatus) shape {
		return shape{name: name, ready: "0/1", status: status, restarts: "0", node: shapeNode, phase: phase,
			statuses: statuses(st), conditions: conds(true, false)}
	}
	withPolicy := func(s shape, p corev1.RestartPolicy) shape { s.policy = p; return s }
	withRestarts := func(s shape, printed string) shape { s.restarts = printed; return s }

	return []shape{
		{name: "running", ready: "1/1", status: "Running", restarts: "0", node: shapeNode, phase: run,
			statuses: statuses(running("app", true)), conditions: conds(true, true)},
		{name: "running-three", ready: "3/3", status: "Running", restarts: "0", node: shapeNode, phase: run,
			containers: ctrs("app", "proxy", "logger"),
			statuses:   statuses(running("app", true), running("proxy", true), running("logger", true)), conditions: conds(true, true)},
		{name: "running-cordoned-node", ready: "1/1", status: "Running", restarts: "0", node: cordonedNode, phase: run,
			statuses: statuses(running("app", true)), conditions: conds(true, true)},
		{name: "running-restarted-ago", ready: "1/1", status: "Running", restarts: "5 (10h ago)", node: shapeNode, phase: run,
			statuses: statuses(again(running("app", true), 5, 1, "Error")), conditions: conds(true, true)},
		{name: "running-restarted-minutes-ago", ready: "1/1", status: "Running", restarts: "1 (45m ago)", node: shapeNode, phase: run,
			statuses: statuses(func() corev1.ContainerStatus {
				st := again(running("app", true), 1, 1, "Error")
				st.LastTerminationState.Terminated.FinishedAt = ago(45*time.Minute + 20*time.Second)
				return st
			}()), conditions: conds(true, true)},
		{name: "running-restarted-no-date", ready: "1/1", status: "Running", restarts: "2", node: shapeNode, phase: run,
			statuses: statuses(again(running("app", true), 2, -1, "")), conditions: conds(true, true)},
		{name: "running-oom-before", ready: "1/1", status: "Running", restarts: "7 (10h ago)", node: shapeNode, phase: run,
			statuses: statuses(again(running("app", true), 7, 137, "OOMKilled")), conditions: conds(true, true)},
		{name: "not-ready-one-of-two", ready: "1/2", status: "Running", restarts: "0", node: shapeNode, phase: run,
			containers: ctrs("app", "proxy"),
			statuses:   statuses(running("app", false), running("proxy", true)), conditions: conds(true, false)},
		{name: "not-ready-none", ready: "0/1", status: "Running", restarts: "0", node: shapeNode, phase: run,
			statuses: statuses(running("app", false)), conditions: conds(true, false)},
		{name: "readiness-gate-false", ready: "1/1", status: "Running", restarts: "0", node: shapeNode, phase: run,
			statuses: statuses(running("app", true)),
			conditions: []corev1.PodCondition{cond(corev1.PodScheduled, true, ""), cond(corev1.PodInitialized, true, ""),
				cond(corev1.ContainersReady, true, ""), cond(corev1.PodReady, false, "ReadinessGatesNotReady"),
				cond("example.com/in-load-balancer", false, "NotRegistered")},
			change: func(p *corev1.Pod) {
				p.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/in-load-balancer"}}
			}},
		{name: "readiness-gate-true", ready: "1/1", status: "Running", restarts: "0", node: shapeNode, phase: run,
			statuses: statuses(running("app", true)), conditions: append(conds(true, true), cond("example.com/in-load-balancer", true, "")),
			change: func(p *corev1.Pod) {
				p.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/in-load-balancer"}}
			}},

		{name: "pending-no-status", ready: "0/1", status: "Pending", restarts: "0", phase: pend},
		{name: "pending-unschedulable", ready: "0/1", status: "Pending", restarts: "0", phase: pend,
			conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable",
				Message: "0/300 nodes are available: 300 Insufficient cpu. preemption: 0/300 nodes are available: 300 No preemption victims found for incoming pod.", LastTransitionTime: ago(time.Minute)}}},
		{name: "pending-scheduled", ready: "0/1", status: "Pending", restarts: "0", node: shapeNode, phase: pend,
			conditions: []corev1.PodCondition{cond(corev1.PodScheduled, true, "")}},
		{name: "scheduling-gated", ready: "0/1", status: "SchedulingGated", restarts: "0", phase: pend,
			conditions: []corev1.PodCondition{cond(corev1.PodScheduled, false, corev1.PodReasonSchedulingGated)},
			change: func(p *corev1.Pod) {
				p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/quota"}}
			}},
		one("container-creating", "ContainerCreating", pend, waiting("app", "ContainerCreating", "")),
		one("image-pull-back-off", "ImagePullBackOff", pend, waiting("app", "ImagePullBackOff", "Back-off pulling image \"registry.example/shapes/app:1.0\"")),
		one("err-image-pull", "ErrImagePull", pend, waiting("app", "ErrImagePull", "failed to pull and unpack image: not found")),
		one("err-image-never-pull", "ErrImageNeverPull", pend, waiting("app", "ErrImageNeverPull", "Container image is not present with pull policy of Never")),
		one("invalid-image-name", "InvalidImageName", pend, waiting("app", "InvalidImageName", "couldn't parse image name")),
		one("create-container-config-error", "CreateContainerConfigError", pend, waiting("app", "CreateContainerConfigError", "configmap \"settings\" not found")),
		one("create-container-error", "CreateContainerError", pend, waiting("app", "CreateContainerError", "context deadline exceeded")),
		one("run-container-error", "RunContainerError", run, waiting("app", "RunContainerError", "exec: \"/app\": permission denied")),
		withRestarts(one("crash-loop", "CrashLoopBackOff", run,
			again(waiting("app", "CrashLoopBackOff", "back-off 5m0s restarting failed container"), 12, 1, "Error")), "12 (10h ago)"),
		withRestarts(one("crash-loop-oom", "CrashLoopBackOff", run,
			again(waiting("app", "CrashLoopBackOff", "back-off 40s restarting failed container"), 4, 137, "OOMKilled")), "4 (10h ago)"),
		{name: "crash-loop-one-of-two", ready: "1/2", status: "CrashLoopBackOff", restarts: "31 (10h ago)", node: shapeNode, phase: run,
			containers: ctrs("app", "proxy"),
			statuses: statuses(again(waiting("app", "CrashLoopBackOff", "back-off 5m0s restarting failed container"), 31, 2, "Error"),
				running("proxy", true)), conditions: conds(true, false)},

		withPolicy(one("completed", "Completed", ok, terminated("app", 0, 0, "Completed")), never),
		withPolicy(one("error", "Error", fail, terminated("app", 1, 0, "Error")), never),
		withPolicy(one("oom-killed", "OOMKilled", fail, terminated("app", 137, 0, "OOMKilled")), never),
		withPolicy(one("container-cannot-run", "ContainerCannotRun", fail, terminated("app", 127, 0, "ContainerCannotRun")), never),
		withPolicy(one("start-error", "StartError", fail, terminated("app", 128, 0, "StartError")), never),
		withPolicy(one("deadline-exceeded", "DeadlineExceeded", fail, terminated("app", 143, 0, "DeadlineExceeded")), never),
		withPolicy(one("exit-code", "ExitCode:42", fail, terminated("app", 42, 0, "")), never),
		withPolicy(one("signal", "Signal:9", fail, terminated("app", 137, 9, "")), never),
		one("error-then-again", "Error", run, terminated("app", 1, 0, "Error")),
		{name: "failed-bare", ready: "0/1", status: "Failed", restarts: "0", node: shapeNode, phase: fail, policy: never},
		{name: "succeeded-bare", ready: "0/1", status: "Succeeded", restarts: "0", node: shapeNode, phase: ok, policy: never},
		{name: "evicted", ready: "0/1", status: "Evicted", restarts: "0", node: shapeNode, phase: fail, reason: "Evicted",
			message: "The node was low on resource: memory. Threshold quantity: 100Mi, available: 84Mi."},
		{name: "node-affinity", ready: "0/1", status: "NodeAffinity", restarts: "0", node: shapeNode, phase: fail, reason: "NodeAffinity",
			message: "Pod was rejected: Predicate NodeAffinity failed"},
		{name: "unexpected-admission-error", ready: "0/1", status: "UnexpectedAdmissionError", restarts: "0", node: shapeNode, phase: fail,
			reason: "UnexpectedAdmissionError", message: "Pod was rejected: Allocate failed due to no healthy devices present"},
		{name: "out-of-cpu", ready: "0/1", status: "OutOfcpu", restarts: "0", node: shapeNode, phase: fail, reason: "OutOfcpu",
			message: "Pod was rejected: Node didn't have enough resource: cpu"},
		{name: "completed-and-running-ready", ready: "1/2", status: "Running", restarts: "0", node: shapeNode, phase: run, policy: onFailure,
			containers: ctrs("task", "proxy"),
			statuses:   statuses(terminated("task", 0, 0, "Completed"), running("proxy", true)),
			conditions: conds(true, true)},
		{name: "completed-and-running-not-ready", ready: "1/2", status: "NotReady", restarts: "0", node: shapeNode, phase: run, policy: onFailure,
			containers: ctrs("task", "proxy"),
			statuses:   statuses(terminated("task", 0, 0, "Completed"), running("proxy", true)),
			conditions: conds(true, false)},
		{name: "completed-and-error", ready: "0/2", status: "Error", restarts: "0", node: shapeNode, phase: fail, policy: never,
			containers: ctrs("first", "second"),
			statuses:   statuses(terminated("first", 0, 0, "Completed"), terminated("second", 3, 0, "Error")), conditions: conds(true, false)},

		{name: "init-0-of-2", ready: "0/1", status: "Init:0/2", restarts: "0", node: shapeNode, phase: pend, init: ctrs("init-a", "init-b"),
			inits: statuses(running("init-a", false), waiting("init-b", "PodInitializing", "")), statuses: initWait, conditions: conds(false, false)},
		{name: "init-1-of-2", ready: "0/1", status: "Init:1/2", restarts: "0", node: shapeNode, phase: pend, init: ctrs("init-a", "init-b"),
			inits: statuses(terminated("init-a", 0, 0, "Completed"), running("init-b", false)), statuses: initWait, conditions: conds(false, false)},
		{name: "init-crash-loop", ready: "0/1", status: "Init:CrashLoopBackOff", restarts: "6 (10h ago)", node: shapeNode, phase: pend, init: ctrs("init-a"),
			inits:    statuses(again(waiting("init-a", "CrashLoopBackOff", "back-off 2m40s restarting failed container"), 6, 1, "Error")),
			statuses: initWait, conditions: conds(false, false)},
		{name: "init-error", ready: "0/1", status: "Init:Error", restarts: "0", node: shapeNode, phase: pend, init: ctrs("init-a"),
			inits: statuses(terminated("init-a", 1, 0, "Error")), statuses: initWait, conditions: conds(false, false)},
		{name: "init-exit-code", ready: "0/1", status: "Init:ExitCode:5", restarts: "0", node: shapeNode, phase: pend, init: ctrs("init-a"),
			inits: statuses(terminated("init-a", 5, 0, "")), statuses: initWait, conditions: conds(false, false)},
		{name: "init-signal", ready: "0/1", status: "Init:Signal:15", restarts: "0", node: shapeNode, phase: pend, init: ctrs("init-a"),
			inits: statuses(terminated("init-a", 143, 15, "")), statuses: initWait, conditions: conds(false, false)},
		{name: "init-oom-killed", ready: "0/1", status: "Init:OOMKilled", restarts: "0", node: shapeNode, phase: fail, policy: never, init: ctrs("init-a"),
			inits: statuses(terminated("init-a", 137, 0, "OOMKilled")), statuses: initWait, conditions: conds(false, false)},
		{name: "init-image-pull-back-off", ready: "0/1", status: "Init:ImagePullBackOff", restarts: "0", node: shapeNode, phase: pend, init: ctrs("init-a"),
			inits: statuses(waiting("init-a", "ImagePullBackOff", "Back-off pulling image")), statuses: initWait, conditions: conds(false, false)},
		{name: "pod-initializing", ready: "0/1", status: "PodInitializing", restarts: "0", node: shapeNode, phase: pend, init: ctrs("init-a"),
			inits: statuses(terminated("init-a", 0, 0, "Completed")), statuses: initWait, conditions: conds(true, false)},
		{name: "init-done-running", ready: "1/1", status: "Running", restarts: "0", node: shapeNode, phase: run, init: ctrs("init-a"),
			inits: statuses(again(terminated("init-a", 0, 0, "Completed"), 3, 1, "Error")), statuses: statuses(running("app", true)), conditions: conds(true, true)},

		{name: "sidecar-ready", ready: "2/2", status: "Running", restarts: "0", node: shapeNode, phase: run, init: []corev1.Container{sidecar("mesh")},
			inits: statuses(running("mesh", true)), statuses: statuses(running("app", true)), conditions: conds(true, true)},
		{name: "sidecar-not-ready", ready: "1/2", status: "Running", restarts: "0", node: shapeNode, phase: run, init: []corev1.Container{sidecar("mesh")},
			inits: statuses(running("mesh", false)), statuses: statuses(running("app", true)), conditions: conds(true, false)},
		{name: "sidecar-not-started", ready: "0/2", status: "Init:0/1", restarts: "0", node: shapeNode, phase: pend, init: []corev1.Container{sidecar("mesh")},
			inits: statuses(func() corev1.ContainerStatus {
				st, no := running("mesh", false), false
				st.Started = &no
				return st
			}()),
			statuses: initWait, conditions: conds(false, false)},
		{name: "sidecar-then-init", ready: "1/2", status: "Init:1/2", restarts: "0", node: shapeNode, phase: pend,
			init:  []corev1.Container{sidecar("mesh"), ctr("init-b")},
			inits: statuses(running("mesh", true), running("init-b", false)), statuses: initWait, conditions: conds(false, false)},
		{name: "sidecar-restarted", ready: "2/2", status: "Running", restarts: "4 (10h ago)", node: shapeNode, phase: run, init: []corev1.Container{sidecar("mesh")},
			inits: statuses(again(running("mesh", true), 4, 1, "Error")), statuses: statuses(running("app", true)), conditions: conds(true, true)},
		{name: "sidecar-crash-loop", ready: "1/2", status: "Init:CrashLoopBackOff", restarts: "9 (10h ago)", node: shapeNode, phase: run, init: []corev1.Container{sidecar("mesh")},
			inits: statuses(again(waiting("mesh", "CrashLoopBackOff", "back-off 5m0s"), 9, 1, "Error")), statuses: statuses(running("app", true)), conditions: conds(true, false)},

		{name: "terminating", ready: "1/1", status: "Terminating", restarts: "0", node: shapeNode, phase: run, deleted: true,
			statuses: statuses(running("app", true)), conditions: conds(true, true)},
		{name: "terminating-crash-loop", ready: "0/1", status: "Terminating", restarts: "3 (10h ago)", node: shapeNode, phase: run, deleted: true,
			statuses: statuses(again(waiting("app", "CrashLoopBackOff", ""), 3, 1, "Error")), conditions: conds(true, false)},
		{name: "completed-deleted", ready: "0/1", status: "Completed", restarts: "0", node: shapeNode, phase: ok, policy: never, deleted: true,
			statuses: statuses(terminated("app", 0, 0, "Completed")), conditions: conds(true, false)},
		{name: "node-lost", ready: "1/1", status: "NodeLost", restarts: "0", node: lostNode, phase: run, reason: "NodeLost",
			message:  "Node " + lostNode + " which was running pod node-lost is unresponsive",
			statuses: statuses(running("app", true)), conditions: conds(true, false)},
		{name: "node-lost-deleted", ready: "1/1", status: "Unknown", restarts: "0", node: lostNode, phase: run, reason: "NodeLost", deleted: true,
			statuses: statuses(running("app", true)), conditions: conds(true, false)},
		{name: "phase-unknown", ready: "0/1", status: "Unknown", restarts: "0", node: lostNode, phase: corev1.PodUnknown},
		{name: "container-status-unknown", ready: "0/1", status: "ContainerStatusUnknown", restarts: "1", node: lostNode, phase: fail, policy: never,
			statuses: statuses(again(terminated("app", 137, 0, "ContainerStatusUnknown"), 1, -1, "")), conditions: conds(true, false)},
	}
}

// shapeNodes are node objects that no fake kubelet looks after.
func shapeNodes(kubeletPort int) []*corev1.Node {
	it := instanceTypes[0]
	keep := corev1.Taint{Key: "quarterdeck.dev/shape", Effect: corev1.TaintEffectNoSchedule}
	mk := func(name, ip string, ready corev1.ConditionStatus, reason string) *corev1.Node {
		n := baseNode(name, ip, "eu-west-1a", "shapes", it, kubeletPort, map[string]string{"quarterdeck.dev/shape": "true"})
		n.Spec.Taints = []corev1.Taint{keep}
		n.Status.Conditions = []corev1.NodeCondition{
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory", LastHeartbeatTime: ago(0), LastTransitionTime: ago(time.Hour)},
			{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure", LastHeartbeatTime: ago(0), LastTransitionTime: ago(time.Hour)},
			{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID", LastHeartbeatTime: ago(0), LastTransitionTime: ago(time.Hour)},
			{Type: corev1.NodeReady, Status: ready, Reason: reason, LastHeartbeatTime: ago(0), LastTransitionTime: ago(time.Hour)},
		}
		return n
	}
	cordoned := mk(cordonedNode, "10.9.0.2", corev1.ConditionTrue, "KubeletReady")
	cordoned.Spec.Unschedulable = true
	cordoned.Spec.Taints = append(cordoned.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	lost := mk(lostNode, "10.9.0.3", corev1.ConditionUnknown, "NodeStatusUnknown")
	lost.Spec.Taints = append(lost.Spec.Taints,
		corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule},
		corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute})
	pressed := mk("shape-node-pressure", "10.9.0.4", corev1.ConditionFalse, "KubeletNotReady")
	pressed.Status.Conditions[0].Status = corev1.ConditionTrue
	pressed.Status.Conditions[0].Reason = "KubeletHasInsufficientMemory"
	pressed.Spec.Taints = append(pressed.Spec.Taints,
		corev1.Taint{Key: corev1.TaintNodeMemoryPressure, Effect: corev1.TaintEffectNoSchedule},
		corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule})
	return []*corev1.Node{mk(shapeNode, "10.9.0.1", corev1.ConditionTrue, "KubeletReady"), cordoned, lost, pressed}
}

func cmdShapes(args []string) error {
	fs := flag.NewFlagSet("shapes", flag.ExitOnError)
	onlyExpected := fs.Bool("expected", false, "only print, as JSON, what kubectl must show")
	s, err := parseState(fs, args)
	if err != nil {
		return err
	}
	shapes := allShapes()
	if *onlyExpected {
		type row struct{ Name, Ready, Status, Restarts string }
		var rows []row
		for _, sh := range shapes {
			rows = append(rows, row{sh.name, sh.ready, sh.status, sh.restarts})
		}
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(rows)
	}
	p, err := s.ports()
	if err != nil {
		return err
	}
	c, err := s.client("controlplane-shapes")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, n := range shapeNodes(p.Kubelet) {
		if _, err := c.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: shapesNamespace}}
	if _, err := c.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	for _, sh := range shapes {
		if err := sh.write(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", sh.name, err)
		}
	}
	fmt.Printf("%d shapes in namespace %s\n", len(shapes), shapesNamespace)
	return nil
}

func (sh shape) write(ctx context.Context, c *kubernetes.Clientset) error {
	pods := c.CoreV1().Pods(shapesNamespace)
	if sh.containers == nil {
		sh.containers = ctrs("app")
		if len(sh.statuses) == 1 {
			sh.containers = ctrs(sh.statuses[0].Name)
		}
	}
	var grace int64 = 86400
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: sh.name, Namespace: shapesNamespace, Labels: map[string]string{"app.kubernetes.io/name": "shapes"}},
		Spec: corev1.PodSpec{
			NodeName: sh.node,
			// No scheduler has this name, so what is unscheduled stays so.
			SchedulerName:                 "nobody",
			RestartPolicy:                 sh.policy,
			InitContainers:                sh.init,
			Containers:                    sh.containers,
			TerminationGracePeriodSeconds: &grace,
		},
	}
	if sh.deleted {
		p.Finalizers = []string{"quarterdeck.dev/hold"}
	}
	if sh.change != nil {
		sh.change(p)
	}
	p, err := pods.Create(ctx, p, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return err
	}
	p.Status = corev1.PodStatus{
		Phase: sh.phase, Reason: sh.reason, Message: sh.message,
		Conditions: sh.conditions, InitContainerStatuses: sh.inits, ContainerStatuses: sh.statuses,
	}
	if sh.node != "" {
		start := ago(12 * time.Hour)
		p.Status.StartTime = &start
		p.Status.HostIP = "10.9.0.1"
		p.Status.HostIPs = []corev1.HostIP{{IP: "10.9.0.1"}}
	}
	if sh.phase == corev1.PodRunning {
		p.Status.PodIP = "10.244.9.9"
		p.Status.PodIPs = []corev1.PodIP{{IP: "10.244.9.9"}}
	}
	if _, err := pods.UpdateStatus(ctx, p, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if sh.deleted {
		return pods.Delete(ctx, sh.name, metav1.DeleteOptions{})
	}
	return nil
}
