// The co-process of kafkaclients.KafkaGo: franz-go (library "franz") and sarama (library "sarama"). Reads one JSON request per line, runs
// the case with clients of its own, and answers one JSON line: {"ok": true, ...} or {"ok": false, "error": class, "message": text}.
package main

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

type security struct {
	CA, Cert, Key                    string
	Mechanism, User, Secret          string
	Handshake                        *int16 // version of SaslHandshake; sarama only
	Service, Realm, Krb5Conf, Keytab string
}

type request struct {
	Case, Library, Servers, Topic  string
	Security                       security
	Partitions, First, Count, Size int
	Time                           int
}

// kafkaClient is what a library has to show. Every method makes clients of its own, except that load's are there for all of its time.
type kafkaClient interface {
	create(topic string, partitions int) error
	describe(topic string) ([]int32, error) // the leader of each partition; none: no such topic
	remove(topic string) error
	brokers(group string) ([]string, error) // every address that any answer gives
	produce(topic string, numbers []int, size int) error
	consume(topic string, count int, seconds time.Duration) ([]int, error)
	load(topic string, seconds time.Duration, a *account) error
}

// account is what a load has sent, what was acknowledged, and what came back.
type account struct {
	sync.Mutex
	sent   int
	acked  map[int]bool
	got    map[int]bool
	failed []string
	known  []string // addresses that the clients of the load knew at its end
}

func (a *account) ack(number int, err error) {
	a.Lock()
	defer a.Unlock()
	if err != nil {
		a.failed = append(a.failed, err.Error())
		return
	}
	a.acked[number] = true
}

func (a *account) take(number int) {
	a.Lock()
	defer a.Unlock()
	a.got[number] = true
}

func (a *account) lost() int {
	a.Lock()
	defer a.Unlock()
	lost := 0
	for number := range a.acked {
		if !a.got[number] {
			lost++
		}
	}
	return lost
}

// wait gives what was acknowledged the time to arrive.
func (a *account) wait() {
	for deadline := time.Now().Add(60 * time.Second); a.lost() > 0 && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
	}
}

func message(number, size int) []byte {
	body := fmt.Sprintf("%d ", number)
	body += strings.Repeat("x", max(0, size-len(body)))
	return []byte(fmt.Sprintf("%d %d %s", number, crc32.ChecksumIEEE([]byte(body)), body))
}

func numberOf(data []byte) (int, error) {
	parts := strings.SplitN(string(data), " ", 3)
	if len(parts) != 3 || strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(parts[2]))), 10) != parts[1] {
		return 0, fmt.Errorf("message %s is damaged", parts[0])
	}
	return strconv.Atoi(parts[0])
}

func fresh() string {
	name := make([]byte, 5)
	_, _ = rand.Read(name)
	return fmt.Sprintf("t-%x", name)
}

func numbers(first, count int) []int {
	list := make([]int, count)
	for i := range list {
		list[i] = first + i
	}
	return list
}

// tls returns nil where nothing is to be encrypted.
func (s security) tls() (*tls.Config, error) {
	if s.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(pem)
	if s.Cert != "" {
		pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// bearer is a token that Kafka's validator of unsecured tokens takes.
func (s security) bearer() string {
	part := func(claims map[string]any) string {
		data, _ := json.Marshal(claims)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	now := time.Now().Unix()
	return part(map[string]any{"alg": "none"}) + "." + part(map[string]any{"sub": s.User, "iat": now, "exp": now + 3600}) + "."
}

// ---- cases

func roundtrip(c kafkaClient, r request) (map[string]any, error) {
	topic, count := fresh(), r.Count
	if count == 0 {
		count = 1000
	}
	if err := c.create(topic, max(r.Partitions, 6)); err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	if err := c.produce(topic, numbers(0, count), max(r.Size, 100)); err != nil {
		return nil, fmt.Errorf("produce: %w", err)
	}
	got, err := c.consume(topic, count, 40*time.Second)
	if err != nil {
		return nil, fmt.Errorf("consume: %w", err)
	}
	seen := map[int]bool{}
	for _, number := range got {
		seen[number] = true
	}
	missing := []int{}
	for number := 0; number < count; number++ {
		if !seen[number] {
			missing = append(missing, number)
		}
	}
	brokers, err := c.brokers(fresh())
	return map[string]any{"topic": topic, "missing": missing[:min(5, len(missing))], "twice": len(got) - len(seen), "brokers": brokers}, err
}

// administer makes a topic, looks at it, and takes it away.
func administer(c kafkaClient, r request) (map[string]any, error) {
	topic := fresh()
	if err := c.create(topic, 4); err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	leaders, err := settled(c, topic, func(leaders []int32) bool { return len(leaders) > 0 && !slices.Contains(leaders, -1) })
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	if err := c.remove(topic); err != nil {
		return nil, fmt.Errorf("delete: %w", err)
	}
	left, err := settled(c, topic, func(leaders []int32) bool { return len(leaders) == 0 })
	return map[string]any{"leaders": leaders, "left": len(left)}, err
}

// settled waits until all brokers can have heard of a change.
func settled(c kafkaClient, topic string, done func([]int32) bool) ([]int32, error) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		leaders, err := c.describe(topic)
		if err != nil || done(leaders) || time.Now().After(deadline) {
			return leaders, err
		}
	}
}

func load(c kafkaClient, r request) (map[string]any, error) {
	a := &account{acked: map[int]bool{}, got: map[int]bool{}}
	if err := c.load(r.Topic, time.Duration(r.Time)*time.Second, a); err != nil {
		return nil, err
	}
	failed := append([]string{}, a.failed...)
	return map[string]any{"sent": a.sent, "acked": len(a.acked), "lost": a.lost(), "failed": failed[:min(3, len(failed))], "brokers": a.known}, nil
}

func run(r request) (map[string]any, error) {
	c, err := newFranz(r)
	if r.Library == "sarama" {
		c, err = newSarama(r)
	}
	if err != nil {
		return nil, err
	}
	switch r.Case {
	case "roundtrip":
		return roundtrip(c, r)
	case "administer":
		return administer(c, r)
	case "load":
		return load(c, r)
	case "create":
		topic := fresh()
		return map[string]any{"topic": topic}, c.create(topic, max(r.Partitions, 6))
	case "produce":
		return map[string]any{}, c.produce(r.Topic, numbers(r.First, r.Count), 100)
	case "consume":
		got, err := c.consume(r.Topic, r.Count, 40*time.Second)
		sort.Ints(got)
		return map[string]any{"got": got}, err
	case "brokers":
		told, err := c.brokers(fresh())
		return map[string]any{"brokers": told}, err
	}
	return nil, fmt.Errorf("no case %q", r.Case)
}

func main() {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		var answer map[string]any
		if err = json.Unmarshal(line, &r); err == nil {
			answer, err = run(r)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, r.Library, r.Case, err)
			answer = map[string]any{"ok": false, "error": fmt.Sprintf("%T", err), "message": err.Error()}
		} else {
			answer["ok"] = true
		}
		_ = out.Encode(answer)
	}
}

func sorted(set map[string]bool) []string {
	list := []string{}
	for one := range set {
		list = append(list, one)
	}
	sort.Strings(list)
	return list
}
