// Go's crypto/tls; see README.md.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

type run struct {
	File, End string
	Size      int64
}

type order struct {
	Host, Name, Ca, Cert, Key, Min, Max string
	Port                                int
	Alpn                                []string
	Resume                              bool
	Runs                                []run
}

var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
var names = map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func sum(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}

func config(o order) *tls.Config {
	pem, err := os.ReadFile(o.Ca)
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c := &tls.Config{ServerName: o.Name, RootCAs: roots, NextProtos: o.Alpn, MinVersion: versions[o.Min], MaxVersion: versions[o.Max]}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		must(err)
		c.Certificates = []tls.Certificate{pair}
	}
	if o.Resume {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	}
	return c
}

func connect(o order, c *tls.Config, r run) map[string]interface{} {
	data, err := os.ReadFile(r.File)
	must(err)
	raw, err := net.Dial("tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
	must(err)
	must(raw.SetDeadline(time.Now().Add(30 * time.Second)))
	conn := tls.Client(raw, c)
	must(conn.Handshake())
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(data)
		if err == nil && r.End == "half" {
			err = conn.CloseWrite()
		}
		sent <- err
	}()
	got := make([]byte, r.Size)
	_, err = io.ReadFull(conn, got)
	must(err)
	must(<-sent)
	if r.End == "client" {
		must(conn.CloseWrite())
	}
	rest, err := io.ReadAll(conn) // an error unless close_notify comes
	must(err)
	if len(rest) > 0 {
		must(fmt.Errorf("%d bytes too many", len(rest)))
	}
	must(conn.Close())
	state := conn.ConnectionState()
	return map[string]interface{}{
		"version": names[state.Version], "alpn": state.NegotiatedProtocol, "resumed": state.DidResume, "sent": sum(data), "got": sum(got),
	}
}

func main() {
	var o order
	must(json.Unmarshal([]byte(os.Args[1]), &o))
	c := config(o)
	for _, r := range o.Runs {
		must(json.NewEncoder(os.Stdout).Encode(connect(o, c, r)))
	}
}
