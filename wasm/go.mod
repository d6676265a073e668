module llama-api-server

go 1.27
