package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

type saramaClient struct {
	servers []string
	config  *sarama.Config
}

func newSarama(r request) (kafkaClient, error) {
	sarama.Logger = log.New(os.Stderr, "sarama ", log.LstdFlags)
	config := sarama.NewConfig()
	config.Version = sarama.V4_3_1_0
	config.Admin.Timeout = 20 * time.Second
	config.Metadata.Retry.Max, config.Metadata.Retry.Backoff = 60, 250*time.Millisecond
	config.Metadata.RefreshFrequency = 5 * time.Second
	config.Net.DialTimeout, config.Net.ReadTimeout = 5*time.Second, 30*time.Second // what is sent again may be there twice
	if r.Case == "load" {
		config.Net.ReadTimeout = 5 * time.Second // brokers die
	}
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Retry.Max, config.Producer.Retry.Backoff = 100, 250*time.Millisecond
	config.Producer.Return.Successes = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	config.Consumer.Retry.Backoff = 250 * time.Millisecond
	config.Consumer.Group.Rebalance.Retry.Max = 20
	tls, err := r.Security.tls()
	if err != nil {
		return nil, err
	}
	config.Net.TLS.Enable, config.Net.TLS.Config = tls != nil, tls
	if s := r.Security; s.Mechanism != "" {
		saramaMechanism(s, config)
	}
	return saramaClient{strings.Split(r.Servers, ","), config}, nil
}

func saramaMechanism(s security, config *sarama.Config) {
	c := &config.Net.SASL
	c.Enable, c.Mechanism, c.User, c.Password, c.Version = true, sarama.SASLMechanism(s.Mechanism), s.User, s.Secret, sarama.SASLHandshakeV1
	if s.Handshake != nil {
		c.Version = *s.Handshake
		config.ApiVersionsRequest = c.Version > 0
	}
	switch s.Mechanism {
	case "SCRAM-SHA-256":
		c.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{start: scram.Sha256} }
	case "SCRAM-SHA-512":
		c.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{start: scram.Sha512} }
	case "OAUTHBEARER":
		c.TokenProvider = bearer(s.bearer())
	case "GSSAPI":
		c.GSSAPI = sarama.GSSAPIConfig{
			AuthType: sarama.KRB5_USER_AUTH, KerberosConfigPath: s.Krb5Conf, ServiceName: s.Service, Username: s.User, Password: s.Secret,
			Realm: s.Realm, DisablePAFXFAST: true,
		}
	}
}

type bearer string

func (b bearer) Token() (*sarama.AccessToken, error) {
	return &sarama.AccessToken{Token: string(b)}, nil
}

// scramClient: sarama leaves the mechanism to others; here it is that of franz-go.
type scramClient struct {
	start   func(func(context.Context) (scram.Auth, error)) sasl.Mechanism
	session sasl.Session
	first   []byte
	done    bool
}

func (c *scramClient) Begin(user, secret, zid string) error {
	mechanism := c.start(func(context.Context) (scram.Auth, error) { return scram.Auth{User: user, Pass: secret, Zid: zid}, nil })
	var err error
	c.session, c.first, err = mechanism.Authenticate(context.Background(), "")
	return err
}

func (c *scramClient) Step(challenge string) (string, error) {
	if challenge == "" {
		return string(c.first), nil
	}
	done, answer, err := c.session.Challenge([]byte(challenge))
	c.done = done
	return string(answer), err
}

func (c *scramClient) Done() bool { return c.done }

// ---- administration

func (s saramaClient) admin() (sarama.ClusterAdmin, error) {
	return sarama.NewClusterAdmin(s.servers, s.config)
}

func (s saramaClient) create(topic string, partitions int) error {
	admin, err := s.admin()
	if err != nil {
		return err
	}
	defer admin.Close()
	return admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 3}, false)
}

func (s saramaClient) describe(topic string) ([]int32, error) {
	admin, err := s.admin()
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	topics, err := admin.DescribeTopics([]string{topic})
	if err != nil {
		return nil, err
	}
	leaders := []int32{}
	for _, one := range topics {
		if one.Err != sarama.ErrNoError && one.Err != sarama.ErrUnknownTopicOrPartition {
			return nil, one.Err
		}
		for _, partition := range one.Partitions {
			leaders = append(leaders, partition.Leader)
		}
	}
	return leaders, nil
}

func (s saramaClient) remove(topic string) error {
	admin, err := s.admin()
	if err != nil {
		return err
	}
	defer admin.Close()
	return admin.DeleteTopic(topic)
}

func known(client sarama.Client, told map[string]bool) {
	for _, broker := range client.Brokers() {
		told[fmt.Sprintf("%d %s", broker.ID(), broker.Addr())] = true
	}
}

func (s saramaClient) brokers(group string) ([]string, error) {
	client, err := sarama.NewClient(s.servers, s.config)
	if err != nil {
		return nil, err
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		client.Close()
		return nil, err
	}
	defer admin.Close() // and with it the client
	told := map[string]bool{}
	described, _, err := admin.DescribeCluster()
	if err != nil {
		return nil, fmt.Errorf("describe cluster: %w", err)
	}
	for _, broker := range described {
		told[fmt.Sprintf("%d %s", broker.ID(), broker.Addr())] = true
	}
	coordinator, err := client.Coordinator(group)
	if err != nil {
		return nil, fmt.Errorf("coordinator: %w", err)
	}
	told[fmt.Sprintf("%d %s", coordinator.ID(), coordinator.Addr())] = true
	known(client, told)
	return sorted(told), nil
}

// ---- records

func (s saramaClient) produce(topic string, numbers []int, size int) error {
	producer, err := sarama.NewSyncProducer(s.servers, s.config)
	if err != nil {
		return err
	}
	defer producer.Close()
	messages := make([]*sarama.ProducerMessage, 0, len(numbers))
	for _, number := range numbers {
		messages = append(messages, &sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder(fmt.Sprint(number % 11)), Value: sarama.ByteEncoder(message(number, size)),
		})
	}
	return producer.SendMessages(messages)
}

// reader gives the numbers of what comes to it.
type reader struct {
	take  func(int)
	wrong error
	once  sync.Once
}

func (*reader) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*reader) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (r *reader) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case one, more := <-claim.Messages():
			if !more {
				return nil
			}
			number, err := numberOf(one.Value)
			if err != nil {
				r.once.Do(func() { r.wrong = err })
				return err
			}
			r.take(number)
			session.MarkMessage(one, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

// read runs a group of one member until `over` ends; what goes wrong on the way is tried again.
func (s saramaClient) read(over context.Context, topic string, take func(int), end func(sarama.Client)) error {
	client, err := sarama.NewClient(s.servers, s.config)
	if err != nil {
		return err
	}
	defer client.Close()
	group, err := sarama.NewConsumerGroupFromClient(fresh(), client)
	if err != nil {
		return err
	}
	defer group.Close()
	one := &reader{take: take}
	var last error
	for over.Err() == nil && one.wrong == nil {
		if err := group.Consume(over, []string{topic}, one); err != nil && !errors.Is(err, context.Canceled) {
			last = err
			fmt.Fprintln(os.Stderr, "sarama group:", err)
			time.Sleep(250 * time.Millisecond)
		}
	}
	if end != nil {
		end(client)
	}
	if one.wrong != nil {
		return one.wrong
	}
	if errors.Is(over.Err(), context.DeadlineExceeded) {
		return last
	}
	return nil
}

func (s saramaClient) consume(topic string, count int, seconds time.Duration) ([]int, error) {
	over, stop := context.WithTimeout(context.Background(), seconds)
	defer stop()
	got, lock := []int{}, sync.Mutex{}
	err := s.read(over, topic, func(number int) {
		lock.Lock()
		defer lock.Unlock()
		if got = append(got, number); len(got) == count {
			stop()
		}
	}, nil)
	return got, err
}

func (s saramaClient) load(topic string, seconds time.Duration, a *account) error {
	client, err := sarama.NewClient(s.servers, s.config)
	if err != nil {
		return err
	}
	defer client.Close()
	producer, err := sarama.NewAsyncProducerFromClient(client)
	if err != nil {
		return err
	}
	told := map[string]bool{}
	over, stop := context.WithCancel(context.Background())
	defer stop()
	consumed := make(chan error, 1)
	go func() { consumed <- s.read(over, topic, a.take, func(client sarama.Client) { known(client, told) }) }()
	var answers sync.WaitGroup
	answers.Add(2)
	go func() {
		defer answers.Done()
		for one := range producer.Successes() {
			a.ack(one.Metadata.(int), nil)
		}
	}()
	go func() {
		defer answers.Done()
		for one := range producer.Errors() {
			a.ack(one.Msg.Metadata.(int), one.Err)
		}
	}()
	for end := time.Now().Add(seconds); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for range 5 {
			producer.Input() <- &sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(message(a.sent, 200)), Metadata: a.sent}
			a.sent++
		}
	}
	producer.AsyncClose()
	answers.Wait()
	a.wait()
	stop()
	err = <-consumed
	known(client, told)
	a.known = sorted(told)
	return err
}
