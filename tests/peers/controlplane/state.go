package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ports are chosen once per state directory and kept, so that a component
// that is killed comes back where it was.
type ports struct {
	API, Etcd, EtcdPeer, Kubelet, Echo int
}

type stateDir string

func (s stateDir) path(parts ...string) string {
	return filepath.Join(append([]string{string(s)}, parts...)...)
}
func (s stateDir) pki(name string) string { return s.path("pki", name) }

func stateFlag(fs *flag.FlagSet) *string {
	return fs.String("state", os.Getenv("CONTROLPLANE_STATE"), "state directory")
}

func parseState(fs *flag.FlagSet, args []string) (stateDir, error) {
	dir := stateFlag(fs)
	if err := fs.Parse(args); err != nil {
		return "", err
	}
	if *dir == "" {
		return "", fmt.Errorf("--state is needed")
	}
	abs, err := filepath.Abs(*dir)
	return stateDir(abs), err
}

func (s stateDir) ports() (ports, error) {
	var p ports
	b, err := os.ReadFile(s.path("ports.json"))
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(b, &p)
}

// freePort looks below the ephemeral range, so that no outgoing connection
// takes the port while a component is down.
func freePort(taken map[int]bool) (int, error) {
	for range 500 {
		p := 17000 + rand.IntN(14000)
		if taken[p] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			continue
		}
		l.Close()
		taken[p] = true
		return p, nil
	}
	return 0, fmt.Errorf("no free port on 127.0.0.1")
}

func cmdInit(args []string) error {
	fs := flag.NewFlagSet("init", flag.ExitOnError)
	port := fs.Int("port", 0, "port of the API server (0: any)")
	s, err := parseState(fs, args)
	if err != nil {
		return err
	}
	for _, d := range []string{"pki", "logs", "pids", "exec"} {
		if err := os.MkdirAll(s.path(d), 0o700); err != nil {
			return err
		}
	}
	p, err := s.ports()
	if err != nil {
		taken := map[int]bool{}
		p.API = *port
		taken[*port] = true
		for _, to := range []*int{&p.API, &p.Etcd, &p.EtcdPeer, &p.Kubelet, &p.Echo} {
			if *to != 0 {
				continue
			}
			if *to, err = freePort(taken); err != nil {
				return err
			}
		}
		b, _ := json.Marshal(p)
		if err := os.WriteFile(s.path("ports.json"), b, 0o600); err != nil {
			return err
		}
	} else if *port != 0 && *port != p.API {
		return fmt.Errorf("this state directory already has its API server on port %d", p.API)
	}
	if _, err := os.Stat(s.pki("ca.crt")); err == nil {
		return nil
	}
	return s.writePKI(p)
}

func (s stateDir) writePKI(p ports) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		return err
	}
	tmpl := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "quarterdeck-test-ca"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(crand.Reader, tmpl, tmpl, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	if err := writeKey(s.pki("ca.key"), caKey); err != nil {
		return err
	}
	if err := writePEM(s.pki("ca.crt"), "CERTIFICATE", der); err != nil {
		return err
	}
	serving := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	for _, c := range []struct {
		file, cn string
		orgs     []string
		ips      []net.IP
		dns      []string
	}{
		{"apiserver", "kube-apiserver", nil, serving, names},
		{"kubelet", "kubelet", nil, serving[:1], names[:1]},
		{"front-proxy", "front-proxy-client", nil, nil, nil},
		{"kubelet-client", "kube-apiserver-kubelet-client", []string{"system:masters"}, nil, nil},
	} {
		if err := s.issue(c.file, c.cn, c.orgs, c.ips, c.dns); err != nil {
			return err
		}
	}
	saKey, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		return err
	}
	if err := writeKey(s.pki("sa.key"), saKey); err != nil {
		return err
	}
	// The parts of the control plane are told apart by name (the audit policy
	// leaves them out), and all of them are masters.
	for file, cn := range map[string]string{
		"kubeconfig":                    "admin",
		"controller-manager.kubeconfig": "system:kube-controller-manager",
		"scheduler.kubeconfig":          "system:kube-scheduler",
		"kwok.kubeconfig":               "system:kwok",
		"seed.kubeconfig":               "system:seed",
	} {
		if err := s.issue(cn, cn, []string{"system:masters"}, nil, nil); err != nil {
			return err
		}
		if err := s.writeKubeconfig(s.path(file), cn, p.API); err != nil {
			return err
		}
	}
	return nil
}

func cmdUser(args []string) error {
	fs := flag.NewFlagSet("user", flag.ExitOnError)
	group := fs.String("group", "", "group (organisation) of the certificate")
	namespace := fs.String("namespace", "", "default namespace of the context")
	s, err := parseState(fs, args)
	if err != nil {
		return err
	}
	name := fs.Arg(0)
	if fs.NArg() > 1 { // flags after the name
		if err := fs.Parse(fs.Args()[1:]); err != nil {
			return err
		}
	}
	if name == "" || (fs.NArg() > 0 && fs.Arg(0) != name) {
		return fmt.Errorf("usage: user --state DIR [--group G] [--namespace NS] NAME")
	}
	p, err := s.ports()
	if err != nil {
		return err
	}
	var orgs []string
	if *group != "" {
		orgs = []string{*group}
	}
	if err := s.issue("user-"+name, name, orgs, nil, nil); err != nil {
		return err
	}
	file := s.path("user-" + name + ".kubeconfig")
	if err := s.writeKubeconfigFrom(file, name, "user-"+name, *namespace, p.API); err != nil {
		return err
	}
	fmt.Println(file)
	return nil
}

func (s stateDir) issue(file, cn string, orgs []string, ips []net.IP, dns []string) error {
	caPEM, err := os.ReadFile(s.pki("ca.crt"))
	if err != nil {
		return err
	}
	keyPEM, err := os.ReadFile(s.pki("ca.key"))
	if err != nil {
		return err
	}
	caBlock, _ := pem.Decode(caPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	ca, err := x509.ParseCertificate(caBlock.Bytes)
	if err != nil {
		return err
	}
	caKey, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		return err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(rand.Int64()),
		Subject:      pkix.Name{CommonName: cn, Organization: orgs},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses:  ips,
		DNSNames:     dns,
	}
	der, err := x509.CreateCertificate(crand.Reader, tmpl, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	if err := writeKey(s.pki(file+".key"), key); err != nil {
		return err
	}
	return writePEM(s.pki(file+".crt"), "CERTIFICATE", der)
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(file, "EC PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (s stateDir) writeKubeconfig(file, cn string, port int) error {
	return s.writeKubeconfigFrom(file, cn, cn, "", port)
}

func (s stateDir) writeKubeconfigFrom(file, user, cert, namespace string, port int) error {
	read := func(name string) []byte {
		b, err := os.ReadFile(s.pki(name))
		if err != nil {
			panic(err)
		}
		return b
	}
	const cluster, context = "quarterdeck-test", "quarterdeck-test"
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters[cluster] = &clientcmdapi.Cluster{
		Server:                   fmt.Sprintf("https://127.0.0.1:%d", port),
		CertificateAuthorityData: read("ca.crt"),
	}
	cfg.AuthInfos[user] = &clientcmdapi.AuthInfo{
		ClientCertificateData: read(cert + ".crt"),
		ClientKeyData:         read(cert + ".key"),
	}
	cfg.Contexts[context] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: user, Namespace: namespace}
	cfg.CurrentContext = context
	return clientcmd.WriteToFile(*cfg, file)
}

// client is for the seeding commands: no client-side limit, and a name of its
// own that the audit policy leaves out.
func (s stateDir) client(agent string) (*kubernetes.Clientset, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", s.path("seed.kubeconfig"))
	if err != nil {
		return nil, err
	}
	cfg.QPS, cfg.Burst = -1, 0
	cfg.UserAgent = agent
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return kubernetes.NewForConfig(rest.CopyConfig(cfg))
}
