package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	krb5client "github.com/jcmturner/gokrb5/v8/client"
	krb5config "github.com/jcmturner/gokrb5/v8/config"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/kerberos"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

type franz struct{ options []kgo.Opt }

func newFranz(r request) (kafkaClient, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(r.Servers, ",")...), kgo.AllowAutoTopicCreation(), kgo.RequestTimeoutOverhead(5 * time.Second),
		kgo.RetryTimeout(120 * time.Second), kgo.UnknownTopicRetries(-1),
	}
	config, err := r.Security.tls()
	if err != nil {
		return nil, err
	}
	if config != nil {
		options = append(options, kgo.DialTLSConfig(config))
	}
	if r.Security.Mechanism != "" {
		mechanism, err := franzMechanism(r.Security)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return franz{options}, nil
}

func franzMechanism(s security) (sasl.Mechanism, error) {
	switch s.Mechanism {
	case "PLAIN":
		return plain.Auth{User: s.User, Pass: s.Secret}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.User, Pass: s.Secret}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: s.User, Pass: s.Secret}.AsSha512Mechanism(), nil
	case "OAUTHBEARER":
		return oauth.Auth{Token: s.bearer()}.AsMechanism(), nil
	case "GSSAPI":
		config, err := krb5config.Load(s.Krb5Conf)
		if err != nil {
			return nil, err
		}
		// One for each connection: a case has several clients, and the end of the first would destroy what they share.
		user := func(context.Context) *krb5client.Client {
			return krb5client.NewWithPassword(s.User, s.Realm, s.Secret, config, krb5client.DisablePAFXFAST(true))
		}
		return kerberos.Auth{ClientFn: user, Service: s.Service}.AsMechanism(), nil
	}
	return nil, fmt.Errorf("no mechanism %s", s.Mechanism)
}

func (f franz) client(more ...kgo.Opt) (*kgo.Client, context.Context, func(), error) {
	client, err := kgo.NewClient(append(append([]kgo.Opt{}, f.options...), more...)...)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 150*time.Second)
	return client, ctx, func() { cancel(); client.CloseAllowingRebalance() }, nil
}

func (f franz) create(topic string, partitions int) error {
	client, ctx, end, err := f.client()
	if err != nil {
		return err
	}
	defer end()
	_, err = kadm.NewClient(client).CreateTopic(ctx, int32(partitions), 3, nil, topic)
	return err
}

// describe asks by DescribeTopicPartitions, which kadm has no words for.
func (f franz) describe(topic string) ([]int32, error) {
	client, ctx, end, err := f.client()
	if err != nil {
		return nil, err
	}
	defer end()
	ask := kmsg.NewPtrDescribeTopicPartitionsRequest()
	ask.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: topic}}
	told, err := ask.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	leaders := []int32{}
	for _, one := range told.Topics {
		if err := kerr.ErrorForCode(one.ErrorCode); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return nil, err
		}
		for _, partition := range one.Partitions {
			leaders = append(leaders, partition.LeaderID)
		}
	}
	return leaders, nil
}

func (f franz) remove(topic string) error {
	client, ctx, end, err := f.client()
	if err != nil {
		return err
	}
	defer end()
	done, err := kadm.NewClient(client).DeleteTopics(ctx, topic)
	if err != nil {
		return err
	}
	return done.Error()
}

// visited keeps where a client went, but for the addresses it began with.
type visited struct {
	sync.Mutex
	told map[string]bool
}

func (v *visited) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, _ error) {
	v.Lock()
	defer v.Unlock()
	if meta.NodeID >= 0 {
		v.told[fmt.Sprintf("%d %s:%d", meta.NodeID, meta.Host, meta.Port)] = true
	}
}

func (f franz) brokers(group string) ([]string, error) {
	client, ctx, end, err := f.client()
	if err != nil {
		return nil, err
	}
	defer end()
	told := map[string]bool{}
	meta, err := kadm.NewClient(client).BrokerMetadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	for _, broker := range meta.Brokers {
		told[fmt.Sprintf("%d %s:%d", broker.NodeID, broker.Host, broker.Port)] = true
	}
	described, err := kmsg.NewPtrDescribeClusterRequest().RequestWith(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("describe cluster: %w", err)
	}
	for _, broker := range described.Brokers {
		told[fmt.Sprintf("%d %s:%d", broker.NodeID, broker.Host, broker.Port)] = true
	}
	found := kadm.NewClient(client).FindGroupCoordinators(ctx, group)
	if found.Error() != nil && !errors.Is(found.Error(), kerr.CoordinatorNotAvailable) {
		return nil, fmt.Errorf("find coordinator: %w", found.Error())
	}
	for _, one := range found {
		if one.Err == nil {
			told[fmt.Sprintf("%d %s:%d", one.NodeID, one.Host, one.Port)] = true
		}
	}
	return sorted(told), nil
}

func (f franz) produce(topic string, numbers []int, size int) error {
	client, ctx, end, err := f.client()
	if err != nil {
		return err
	}
	defer end()
	records := make([]*kgo.Record, 0, len(numbers))
	for _, number := range numbers {
		records = append(records, &kgo.Record{Topic: topic, Key: []byte(fmt.Sprint(number % 11)), Value: message(number, size)})
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

func (f franz) consumer(topic string) (*kgo.Client, context.Context, func(), error) {
	return f.client(kgo.ConsumeTopics(topic), kgo.ConsumerGroup(fresh()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.DisableAutoCommit())
}

func (f franz) consume(topic string, count int, seconds time.Duration) ([]int, error) {
	client, ctx, end, err := f.consumer(topic)
	if err != nil {
		return nil, err
	}
	defer end()
	limited, cancel := context.WithTimeout(ctx, seconds)
	defer cancel()
	got := []int{}
	for len(got) < count && limited.Err() == nil {
		var wrong error
		client.PollFetches(limited).EachRecord(func(record *kgo.Record) {
			number, err := numberOf(record.Value)
			if err != nil {
				wrong = err
			}
			got = append(got, number)
		})
		if wrong != nil {
			return nil, wrong
		}
	}
	return got, client.CommitUncommittedOffsets(ctx)
}

func (f franz) load(topic string, seconds time.Duration, a *account) error {
	way := &visited{told: map[string]bool{}}
	f.options = append(f.options[:len(f.options):len(f.options)], kgo.WithHooks(way))
	producer, ctx, endProducer, err := f.client()
	if err != nil {
		return err
	}
	defer endProducer()
	consumer, _, endConsumer, err := f.consumer(topic)
	if err != nil {
		return err
	}
	defer endConsumer()
	var damaged atomic.Value
	over, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for over.Err() == nil {
			consumer.PollFetches(over).EachRecord(func(record *kgo.Record) {
				number, err := numberOf(record.Value)
				if err != nil {
					damaged.Store(err)
					return
				}
				a.take(number)
			})
			_ = consumer.CommitUncommittedOffsets(over) // again with the next records
		}
	}()
	for end := time.Now().Add(seconds); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for range 5 {
			number := a.sent
			a.sent++
			producer.Produce(ctx, &kgo.Record{Topic: topic, Value: message(number, 200)}, func(_ *kgo.Record, err error) { a.ack(number, err) })
		}
	}
	if err := producer.Flush(ctx); err != nil {
		return err
	}
	a.wait()
	way.Lock()
	defer way.Unlock()
	a.known = sorted(way.told)
	err, _ = damaged.Load().(error)
	return err
}
