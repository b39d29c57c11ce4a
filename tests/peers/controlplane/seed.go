package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

var teams = []string{
	"accounts", "ads", "analytics", "auth", "billing", "cart", "catalog", "checkout", "content", "delivery",
	"email", "events", "feeds", "fraud", "gateway", "identity", "images", "inventory", "ledger", "loyalty",
	"maps", "media", "orders", "payments", "pricing", "reviews", "search", "shipping", "support", "web",
}

var parts = []string{
	"api", "worker", "frontend", "cache", "indexer", "consumer", "scheduler", "exporter", "proxy", "sync",
	"importer", "notifier", "aggregator", "reconciler", "uploader",
}

type instanceType struct {
	name   string
	cpu    string
	memory string
	weight int
}

var instanceTypes = []instanceType{
	{"m6i.2xlarge", "8", "32Gi", 5},
	{"m6i.4xlarge", "16", "64Gi", 3},
	{"c6i.4xlarge", "16", "32Gi", 2},
	{"r6i.2xlarge", "8", "64Gi", 2},
}

// containerSizes are requests and limits, small enough that 33 pods go on the
// smallest of the nodes above.
var containerSizes = []struct{ reqCPU, limCPU, reqMem, limMem string }{
	{"50m", "200m", "64Mi", "128Mi"},
	{"100m", "500m", "128Mi", "256Mi"},
	{"150m", "1", "256Mi", "512Mi"},
	{"200m", "1", "512Mi", "1Gi"},
}

const seededLabel = "controlplane.quarterdeck.dev/seeded"

// each runs f for 0..n with a fixed number of workers and gives the first error.
func each(n, workers int, f func(i int) error) error {
	next := make(chan int)
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				if err := f(i); err != nil && !apierrors.IsAlreadyExists(err) {
					once.Do(func() { first = err })
				}
			}
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return first
}

func cmdSeed(args []string) error {
	fs := flag.NewFlagSet("seed", flag.ExitOnError)
	nodes := fs.Int("nodes", 5, "fake nodes")
	pods := fs.Int("pods", 50, "pods")
	perDeployment := fs.Int("per-deployment", 25, "pods in a deployment")
	timeout := fs.Duration("timeout", 15*time.Minute, "how long to wait for the pods to run")
	s, err := parseState(fs, args)
	if err != nil {
		return err
	}
	p, err := s.ports()
	if err != nil {
		return err
	}
	c, err := s.client("controlplane-seed")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	start := time.Now()

	if err := each(*nodes, 16, func(i int) error {
		_, err := c.CoreV1().Nodes().Create(ctx, fakeNode(i, p.Kubelet), metav1.CreateOptions{})
		return err
	}); err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%d nodes made in %s\n", *nodes, time.Since(start).Round(time.Millisecond))

	if err := each(len(teams), 16, func(i int) error {
		_, err := c.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name:   teams[i],
			Labels: map[string]string{"team": teams[i], seededLabel: "true"},
		}}, metav1.CreateOptions{})
		return err
	}); err != nil {
		return fmt.Errorf("namespaces: %w", err)
	}
	count := (*pods + *perDeployment - 1) / *perDeployment
	if err := each(count, 8, func(i int) error {
		replicas := min(*perDeployment, *pods-i**perDeployment)
		d := fakeDeployment(i, int32(replicas))
		if _, err := c.CoreV1().Services(d.Namespace).Create(ctx, fakeService(d), metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		_, err := c.AppsV1().Deployments(d.Namespace).Create(ctx, d, metav1.CreateOptions{})
		return err
	}); err != nil {
		return fmt.Errorf("deployments: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%d deployments made in %s\n", count, time.Since(start).Round(time.Millisecond))

	if err := waitRunning(ctx, c, *pods, start); err != nil {
		return err
	}
	fmt.Printf("%d nodes and %d pods ready in %.1fs\n", *nodes, *pods, time.Since(start).Seconds())
	return nil
}

// waitRunning counts through the deployments, which is far lighter on the API
// server than listing the pods.
func waitRunning(ctx context.Context, c *kubernetes.Clientset, want int, start time.Time) error {
	said := time.Now()
	for {
		list, err := c.AppsV1().Deployments("").List(ctx, metav1.ListOptions{LabelSelector: seededLabel + "=true"})
		if err != nil {
			return err
		}
		ready := 0
		for _, d := range list.Items {
			ready += int(d.Status.ReadyReplicas)
		}
		if ready >= want {
			return nil
		}
		if time.Since(said) > 5*time.Second {
			said = time.Now()
			fmt.Fprintf(os.Stderr, "%6.1fs: %d of %d pods ready\n", time.Since(start).Seconds(), ready, want)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d pods were ready: %w", ready, want, ctx.Err())
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func pickInstance(i int) instanceType {
	total := 0
	for _, t := range instanceTypes {
		total += t.weight
	}
	i %= total
	for _, t := range instanceTypes {
		if i < t.weight {
			return t
		}
		i -= t.weight
	}
	return instanceTypes[0]
}

func fakeNode(i, kubeletPort int) *corev1.Node {
	zone := fmt.Sprintf("eu-west-1%c", 'a'+i%3)
	it := pickInstance(i / 3)
	pool := map[byte]string{'m': "general", 'c': "compute", 'r': "memory"}[it.name[0]]
	ip := fmt.Sprintf("10.%d.%d.%d", 1+i%3, i/3/250, 1+i/3%250)
	name := fmt.Sprintf("ip-10-%d-%d-%d", 1+i%3, i/3/250, 1+i/3%250)
	return baseNode(name, ip, zone, pool, it, kubeletPort, map[string]string{"kwok.x-k8s.io/node": "fake"})
}

func baseNode(name, ip, zone, pool string, it instanceType, kubeletPort int, marks map[string]string) *corev1.Node {
	labels := map[string]string{
		"kubernetes.io/arch":               "amd64",
		"kubernetes.io/os":                 "linux",
		"kubernetes.io/hostname":           name,
		"node.kubernetes.io/instance-type": it.name,
		"topology.kubernetes.io/region":    "eu-west-1",
		"topology.kubernetes.io/zone":      zone,
		"quarterdeck.dev/pool":             pool,
		"node-role.kubernetes.io/worker":   "",
	}
	for k, v := range marks {
		labels[k] = v
	}
	list := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse(it.cpu),
		corev1.ResourceMemory:           resource.MustParse(it.memory),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
		corev1.ResourcePods:             resource.MustParse("110"),
	}
	allocatable := list.DeepCopy()
	mem := allocatable[corev1.ResourceMemory]
	mem.Sub(resource.MustParse("1Gi"))
	allocatable[corev1.ResourceMemory] = mem
	cpu := allocatable[corev1.ResourceCPU]
	cpu.Sub(resource.MustParse("90m"))
	allocatable[corev1.ResourceCPU] = cpu
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: marks},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///" + zone + "/i-" + name},
		Status: corev1.NodeStatus{
			Capacity:    list,
			Allocatable: allocatable,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: ip},
				{Type: corev1.NodeHostName, Address: name},
				{Type: corev1.NodeInternalDNS, Address: "localhost"},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(kubeletPort)}},
			NodeInfo: corev1.NodeSystemInfo{
				Architecture: "amd64", OperatingSystem: "linux", OSImage: "Amazon Linux 2023",
				KernelVersion: "6.1.141-155.222.amzn2023.x86_64", ContainerRuntimeVersion: "containerd://2.1.4",
				KubeletVersion: "v1.36.3", KubeProxyVersion: "v1.36.3",
			},
		},
	}
}

func fakeDeployment(i int, replicas int32) *appsv1.Deployment {
	ns := teams[i%len(teams)]
	name := ns + "-" + parts[i/len(teams)%len(parts)]
	if n := i / len(teams) / len(parts); n > 0 {
		name = fmt.Sprintf("%s-%d", name, n+1)
	}
	size := containerSizes[i%len(containerSizes)]
	labels := map[string]string{
		"app.kubernetes.io/name":     name,
		"app.kubernetes.io/part-of":  ns,
		"app.kubernetes.io/instance": name,
		"team":                       ns,
		seededLabel:                  "true",
	}
	containers := []corev1.Container{{
		Name:  "app",
		Image: fmt.Sprintf("registry.example/%s/%s:1.%d.%d", ns, name, i%9, i%23),
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		Env:   []corev1.EnvVar{{Name: "TEAM", Value: ns}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(size.reqCPU), corev1.ResourceMemory: resource.MustParse(size.reqMem)},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(size.limCPU), corev1.ResourceMemory: resource.MustParse(size.limMem)},
		},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("http")}}},
	}}
	if i%5 == 4 {
		containers = append(containers, corev1.Container{
			Name:  "proxy",
			Image: "registry.example/mesh/proxy:2.14.0",
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("20m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")},
			},
		})
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": name}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: containers},
			},
		},
	}
}

func fakeService(d *appsv1.Deployment) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: d.Name, Namespace: d.Namespace, Labels: d.Labels},
		Spec: corev1.ServiceSpec{
			Selector: d.Spec.Selector.MatchLabels,
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
		},
	}
}
