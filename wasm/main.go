// Command llama-api-server serves OpenAI's API from the models that a WasmEdge-compatible host
// preloads.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"llama-api-server/internal/listen"
	"llama-api-server/internal/nn"
	"llama-api-server/internal/options"
	"llama-api-server/internal/prompt"
	"llama-api-server/internal/server"
)

func main() {
	settings, err := options.Parse(os.Args[1:], prompt.Names())
	var help options.Help
	var version options.ShowVersion
	switch {
	case errors.As(err, &help):
		fmt.Print(help.Text)
		return
	case errors.As(err, &version):
		fmt.Println(version.Text)
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(2)
	}
	if err := serve(settings); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

// serve runs until the host ends it, or answers why it cannot.
func serve(settings *options.Options) error {
	level := os.Getenv("LLAMA_LOG")
	if level == "" {
		level = os.Getenv("RUST_LOG")
	}
	log := server.NewLogger(os.Stdout, level)
	log.Prompts = settings.LogPrompts || settings.LogAll
	log.Stats = settings.LogStat || settings.LogAll
	socket, err := listen.Bind(settings.Address())
	if err != nil {
		return err
	}
	models, err := server.LoadModels(settings, settings.LogAll || log.Enabled("debug"), nn.Load)
	if err != nil {
		return err
	}
	api := &server.Server{
		Options: settings,
		Models:  models,
		APIKey:  os.Getenv("API_KEY"),
		Log:     log,
		Started: time.Now(),
	}
	listener, err := socket.Listen()
	if err != nil {
		return err
	}
	api.Banner()
	return api.HTTP().Serve(listener)
}
