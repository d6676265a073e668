package options

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/options.md and the launcher's options anew")

// guestsOwn are the options that `llamaedge run` does not pass on: it has its own.
var guestsOwn = []string{"socket-addr", "port", "help", "version"}

func split(own bool) []Option {
	return slices.DeleteFunc(Table(nil), func(option Option) bool { return slices.Contains(guestsOwn, option.Long) != own })
}

// same compares the text of a file that is made of the table.
func same(t *testing.T, path, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the table of options makes; run: go test ./internal/options -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	return string(text)
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// markdown is options as a table of docs/options.md.
func markdown(options []Option) string {
	rows := "| Option | Default | What it says | Metadata |\n|---|---|---|---|\n"
	for _, option := range options {
		name := quoted(option.usage())
		if option.Short != "" {
			name = "`-" + option.Short + "`, " + name
		}
		rows += strings.Join([]string{"| " + name, quoted(option.Default), option.Help, quoted(option.Metadata) + " |\n"}, " | ")
	}
	return rows
}

var tables = regexp.MustCompile(`(?m)(^\|.*\n)+`)

func TestTheDocumentsTables(t *testing.T) {
	const path = "../../../docs/options.md"
	page := read(t, path)
	if len(tables.FindAllString(page, -1)) != 2 {
		t.Fatal("docs/options.md has not two tables")
	}
	made := []string{markdown(split(false)), markdown(split(true))}
	same(t, path, page, tables.ReplaceAllStringFunc(page, func(string) string {
		next := made[0]
		made = made[1:]
		return next
	}))
}

func TestTheLaunchersOptions(t *testing.T) {
	const path = "../../../launcher/llamaedge_launcher/cli/server_options.json"
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(split(false)); err != nil {
		t.Fatal(err)
	}
	same(t, path, read(t, path), text.String())
}

// Each option changes the metadata that its row names, and no other.
func TestTheMetadataOfOptions(t *testing.T) {
	values := map[string]string{
		"model-name": "x,y", "model-alias": "x,y", "ctx-size": "7,8", "batch-size": "7,8", "ubatch-size": "7,8",
		"prompt-template": "none,embedding", "split-mode": "row", "no-mmap": "true", "top-p": "0.25", "reasoning-format": "none", "reasoning": "off", "truncation": "disabled", "socket-addr": "127.0.0.1:1",
		"cache-type-k": "q8_0", "cache-type-v": "bf16",
	}
	for _, option := range split(false) {
		base := []string{"--prompt-template=auto,embedding", "--model-name=a,b"}
		word := "--" + option.Long
		if option.Value != "" {
			value := values[option.Long]
			if value == "" {
				value = "3"
			}
			word += "=" + value
		}
		base = slices.DeleteFunc(base, func(other string) bool { return strings.HasPrefix(word, other[:10]) })
		given, err := Parse(append(base, word), names3)
		if err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		plain, err := Parse([]string{"--prompt-template=auto,embedding", "--model-name=a,b"}, names3)
		if err != nil {
			t.Fatal(err)
		}
		for index := range 2 {
			var changed []string
			before := plain.Metadata(index)
			for key, value := range given.Metadata(index) {
				if !reflect.DeepEqual(before[key], value) {
					changed = append(changed, key)
				}
			}
			if strings.Join(changed, " ") != option.Metadata {
				t.Errorf("%s changes %q of model %d, not %q", word, changed, index, option.Metadata)
			}
		}
	}
}
