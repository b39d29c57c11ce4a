package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// cmdChurn changes seeded pods at a steady rate. A "restarts" change bumps the
// restart count of the first container (it shows in every pod table), an
// "annotations" change touches nothing that is shown, and "delete" deletes the
// pod, which its ReplicaSet replaces.
func cmdChurn(args []string) error {
	fs := flag.NewFlagSet("churn", flag.ExitOnError)
	rate := fs.Float64("rate", 100, "changes per second")
	seconds := fs.Float64("seconds", 10, "for how long")
	mode := fs.String("mode", "restarts", "restarts, annotations or delete")
	s, err := parseState(fs, args)
	if err != nil {
		return err
	}
	c, err := s.client("controlplane-churn")
	if err != nil {
		return err
	}
	ctx := context.Background()
	list, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: seededLabel + "=true", ResourceVersion: "0"})
	if err != nil {
		return err
	}
	pods := make([]corev1.Pod, 0, len(list.Items))
	for _, p := range list.Items {
		if len(p.Status.ContainerStatuses) > 0 && p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}
	if len(pods) == 0 {
		return fmt.Errorf("no seeded pod is running")
	}
	rand.Shuffle(len(pods), func(i, j int) { pods[i], pods[j] = pods[j], pods[i] })

	var done, failed atomic.Int64
	work := make(chan int, 1024)
	var wg sync.WaitGroup
	for range 32 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range work {
				// One pod is never with two workers at once: it comes round
				// again only after all the others.
				if err := changePod(ctx, c.CoreV1().Pods(pods[n%len(pods)].Namespace).Patch, func(name string) error {
					return c.CoreV1().Pods(pods[n%len(pods)].Namespace).Delete(ctx, name, metav1.DeleteOptions{})
				}, &pods[n%len(pods)], *mode, n); err != nil {
					if failed.Add(1) == 1 {
						fmt.Fprintf(os.Stderr, "first failure: %v\n", err)
					}
					continue
				}
				done.Add(1)
			}
		}()
	}
	start := time.Now()
	total := int(*rate * *seconds)
	if *mode == "delete" {
		total = min(total, len(pods))
	}
	for n := range total {
		due := start.Add(time.Duration(float64(n) / *rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		work <- n
	}
	close(work)
	wg.Wait()
	took := time.Since(start).Seconds()
	fmt.Printf("%d changes in %.1fs (%.1f/s), %d failed\n", done.Load(), took, float64(done.Load())/took, failed.Load())
	if done.Load() == 0 {
		return fmt.Errorf("nothing was changed")
	}
	return nil
}

type patchFunc func(ctx context.Context, name string, pt types.PatchType, data []byte, o metav1.PatchOptions, sub ...string) (*corev1.Pod, error)

func changePod(ctx context.Context, patch patchFunc, del func(string) error, p *corev1.Pod, mode string, n int) error {
	switch mode {
	case "delete":
		return del(p.Name)
	case "annotations":
		body := fmt.Sprintf(`{"metadata":{"annotations":{"controlplane.quarterdeck.dev/churn":"%d"}}}`, n)
		_, err := patch(ctx, p.Name, types.MergePatchType, []byte(body), metav1.PatchOptions{})
		return err
	case "restarts":
		now := metav1.Now()
		p.Status.ContainerStatuses[0].RestartCount++
		last := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 1, Reason: "Error", StartedAt: metav1.NewTime(now.Add(-time.Minute)), FinishedAt: now,
		}}
		body, err := json.Marshal([]map[string]any{
			{"op": "add", "path": "/status/containerStatuses/0/restartCount", "value": p.Status.ContainerStatuses[0].RestartCount},
			{"op": "add", "path": "/status/containerStatuses/0/lastState", "value": last},
		})
		if err != nil {
			return err
		}
		_, err = patch(ctx, p.Name, types.JSONPatchType, body, metav1.PatchOptions{}, "status")
		return err
	}
	return fmt.Errorf("no such mode: %s", mode)
}

// logLine is a line of a container log in the CRI format.
func logLine(at time.Time, n int) string {
	level := []string{"INFO", "INFO", "INFO", "WARN", "INFO", "DEBUG", "INFO", "ERROR"}[n%8]
	stream := "stdout"
	if level == "ERROR" {
		stream = "stderr"
	}
	return fmt.Sprintf("%s %s F %s request=%06d path=/v1/items/%d status=%d took=%dms\n",
		at.UTC().Format(time.RFC3339Nano), stream, level, n, n%97, []int{200, 200, 204, 404, 200, 200, 201, 503}[n%8], 3+n*7%190)
}

func sampleLog(lines int) string {
	var b strings.Builder
	now := time.Now()
	for n := range lines {
		b.WriteString(logLine(now.Add(time.Duration(n-lines)*time.Second), n))
	}
	return b.String()
}

// cmdLogs appends lines to the log that every fake pod has.
func cmdLogs(args []string) error {
	fs := flag.NewFlagSet("logs", flag.ExitOnError)
	lines := fs.Int("lines", 10, "how many lines")
	rate := fs.Float64("rate", 0, "lines per second (0: all at once)")
	text := fs.String("text", "", "text of the lines instead of made-up requests")
	s, err := parseState(fs, args)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.path("logs", "pod.log"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	start := time.Now()
	for n := range *lines {
		if *rate > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(float64(n) / *rate * float64(time.Second)))))
		}
		line := logLine(time.Now(), 1_000_000+n)
		if *text != "" {
			line = fmt.Sprintf("%s stdout F %s\n", time.Now().UTC().Format(time.RFC3339Nano), *text)
		}
		if _, err := f.WriteString(line); err != nil {
			return err
		}
	}
	return nil
}
