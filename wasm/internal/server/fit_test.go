package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"llama-api-server/internal/nn/nntest"
	"llama-api-server/internal/options"
	"llama-api-server/internal/prompt"
)

// fitModel is a model on graph whose context has so many tokens.
func fitModel(t *testing.T, graph *nntest.Graph, tokens int) *Model {
	t.Helper()
	settings, err := options.Parse([]string{"-p", "chatml", "-c", fmt.Sprint(tokens)}, prompt.Names())
	if err != nil {
		t.Fatal(err)
	}
	models, err := LoadModels(settings, false, graph.Load)
	if err != nil {
		t.Fatal(err)
	}
	return models[0]
}

// talk is a system's message and turns of a user and an assistant, of so many words at most.
func talk(random *rand.Rand, turns, words int) prompt.Conversation {
	messages := []prompt.Message{{Role: prompt.System, Content: "Rules."}}
	for range turns {
		for _, role := range []string{prompt.User, prompt.Assistant} {
			text := strings.Repeat("word ", 1+random.IntN(words))
			messages = append(messages, prompt.Message{Role: role, Content: text})
		}
	}
	messages = append(messages, prompt.Message{Role: prompt.User, Content: "Last."})
	return prompt.Conversation{Messages: messages}
}

// firstFit is what fit must find, one turn after the other.
func firstFit(t *testing.T, model *Model, conversation prompt.Conversation) (string, int) {
	t.Helper()
	messages := conversation.Messages
	for dropped := 0; ; dropped += 2 {
		conversation.Messages = append([]prompt.Message{messages[0]}, messages[1+dropped:]...)
		text, err := model.Template.Render(conversation)
		if err != nil {
			t.Fatal(err)
		}
		if len(strings.Fields(text)) <= model.CtxSize*promptShare/promptShareParts || len(conversation.Messages) == 2 {
			return text, dropped
		}
	}
}

func TestFitDropsNoTurnThatHasRoom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		model := fitModel(t, &nntest.Graph{}, 50+random.IntN(500))
		conversation := talk(random, random.IntN(60), 1+random.IntN(40))
		wantText, want := firstFit(t, model, conversation)
		text, dropped, err := model.fit(t.Context(), conversation)
		if err != nil || dropped != want || text != wantText {
			t.Fatalf("%d of %d messages dropped, want %d: %v", dropped, len(conversation.Messages), want, err)
		}
	}
}

// Long conversations take few counts, all of them short, and altogether of not much more than
// what has room.
func TestFitCountsLittle(t *testing.T) {
	for turns, words := range map[int]int{2000: 10, 2001: 1, 300: 20, 60: 100, 6: 2000} {
		graph := &nntest.Graph{}
		model := fitModel(t, graph, 4096)
		conversation := talk(rand.New(rand.NewPCG(3, 4)), turns, words)
		text, dropped, err := model.fit(t.Context(), conversation)
		if err != nil || dropped == 0 {
			t.Fatalf("%d turns: %d dropped, %v", turns, dropped, err)
		}
		longest, total := 0, 0
		for _, counted := range graph.Prompts {
			longest = max(longest, len(counted))
			total += len(counted)
		}
		turn := 2 * (5*words + bytesOfMarks)
		if count := len(graph.Prompts); count > 30 || longest > max(mostCounted, turn)+2*bytesOfMarks || total > 2*len(text)+turn {
			t.Errorf("%d turns: %d counts of %d bytes, the longest of %d, for %d that have room", turns, count, total, longest, len(text))
		}
	}
}

// Others have turns between the counts.
func TestFitGivesTheTurnUp(t *testing.T) {
	graph := &nntest.Graph{}
	model := fitModel(t, graph, 4096)
	var between, atTheEnd int
	graph.Given = func(string) {
		if between++; between == 1 {
			go func() {
				model.pace.take()
				atTheEnd = between
				model.pace.give()
			}()
		}
		time.Sleep(time.Millisecond)
	}
	if _, _, err := model.fit(t.Context(), talk(rand.New(rand.NewPCG(5, 6)), 2000, 10)); err != nil {
		t.Fatal(err)
	}
	model.pace.take()
	defer model.pace.give()
	if atTheEnd == 0 || atTheEnd == between {
		t.Errorf("another turn after %d of %d counts", atTheEnd, between)
	}
}

func TestFitStopsWhenTheClientHasGone(t *testing.T) {
	graph := &nntest.Graph{}
	model := fitModel(t, graph, 4096)
	ctx, cancel := context.WithCancel(t.Context())
	graph.Given = func(string) { cancel() }
	_, _, err := model.fit(ctx, talk(rand.New(rand.NewPCG(7, 8)), 2000, 10))
	if !errors.Is(err, context.Canceled) || len(graph.Prompts) != 1 {
		t.Errorf("%v after %d counts", err, len(graph.Prompts))
	}
}

func TestFitTakesPicturesForWhatTheyAre(t *testing.T) {
	model := fitModel(t, &nntest.Graph{}, 100)
	picture := pictureStart + "png;base64," + strings.Repeat("A", 5000) + `">`
	conversation := prompt.Conversation{Messages: []prompt.Message{
		{Role: prompt.User, Content: picture}, {Role: prompt.Assistant, Content: "A."}, {Role: prompt.User, Content: "B"},
	}}
	if _, dropped, err := model.fit(t.Context(), conversation); dropped != 0 || err != nil {
		t.Errorf("%d messages dropped, %v", dropped, err)
	}
}
