// Copyright: (c) 2026, the failover lab's authors
// GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

// Runs the benchmark's operations on etcd's own client, clientv3: one client for all goroutines, as its authors advise.
//
//	clientv3 HOST:PORT[,HOST:PORT...]
//
// Takes on stdin what ../contest/protocol.py describes, and answers each line on stdout with one of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

type operation struct{ kind, key, value string }

// What each client does in a turn.
type shares map[string][]operation

// The answer to a line.
type answer struct {
	WallS float64 `json:"wall_s"`
	CPUS  float64 `json:"cpu_s"`
	Error string  `json:"error,omitempty"`
}

// readOperations reads up to the empty line.
func readOperations(lines *bufio.Reader) (map[string]shares, error) {
	turns := map[string]shares{}
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if line == "\n" {
			return turns, nil
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 5 {
			return nil, fmt.Errorf("not an operation: %q", line)
		}
		turn, client := fields[0], fields[1]
		if turns[turn] == nil {
			turns[turn] = shares{}
		}
		turns[turn][client] = append(turns[turn][client], operation{fields[2], fields[3], fields[4]})
	}
}

func run(client *clientv3.Client, share []operation) error {
	ctx := context.Background()
	for _, one := range share {
		var err error
		switch one.kind {
		case "CREATE":
			_, err = client.Put(ctx, one.key, one.value)
		case "RETRIEVE":
			_, err = client.Get(ctx, one.key)
		case "DELETE":
			_, err = client.Delete(ctx, one.key)
		default:
			err = fmt.Errorf("unknown kind of operation: %s", one.kind)
		}
		if err != nil {
			return fmt.Errorf("%s of %s: %w", one.kind, one.key, err)
		}
	}
	return nil
}

// cpuS returns the CPU time of this process so far, in s.
func cpuS() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// takeTurn runs each client's share at once, from the given time on.
func takeTurn(client *clientv3.Client, turn shares, begin time.Time) answer {
	time.Sleep(time.Until(begin))
	cpu := cpuS()
	failed := make(chan error, len(turn))
	var all sync.WaitGroup
	for _, share := range turn {
		all.Add(1)
		go func(share []operation) {
			defer all.Done()
			if err := run(client, share); err != nil {
				failed <- err
			}
		}(share)
	}
	all.Wait()
	told := answer{WallS: time.Since(begin).Seconds(), CPUS: cpuS() - cpu}
	select {
	case err := <-failed:
		told.Error = err.Error()
	default:
	}
	return told
}

// readTurn returns the turn that a line asks for, and the time at which it begins.
func readTurn(line string) (string, time.Time, error) {
	turn, at, _ := strings.Cut(strings.TrimSpace(line), " ")
	unixS, err := strconv.ParseFloat(at, 64)
	whole, part := math.Modf(unixS)
	return turn, time.Unix(int64(whole), int64(part*1e9)), err
}

func serve(endpoints []string) error {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	turns, err := readOperations(lines)
	if err != nil {
		return err
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second})
	if err != nil {
		return err
	}
	defer client.Close()
	if err := out.Encode(answer{}); err != nil {
		return err
	}
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		turn, begin, err := readTurn(line)
		if err != nil {
			return err
		}
		if err := out.Encode(takeTurn(client, turns[turn], begin)); err != nil {
			return err
		}
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: clientv3 HOST:PORT[,HOST:PORT...] <OPERATIONS_AND_TURNS")
		os.Exit(2)
	}
	if err := serve(strings.Split(os.Args[1], ",")); err != nil {
		json.NewEncoder(os.Stdout).Encode(answer{Error: err.Error()})
		os.Exit(1)
	}
}
