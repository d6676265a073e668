// Chats over WebSocket: node examples/websocket_client.mjs ws://127.0.0.1:8080 QUESTION [KEY]
// In a browser it is the same, but for process. Before Node 22: node --experimental-websocket.
const [server, question, key = "none"] = process.argv.slice(2);
const protocols = ["llamaedge", `bearer.${encodeURIComponent(key)}`];
const socket = new WebSocket(`${server}/v1/chat/completions`, protocols);
const messages = [{ role: "user", content: question }];

socket.onopen = () => socket.send(JSON.stringify({ messages, stream: true, max_tokens: 64 }));
socket.onmessage = ({ data }) => {
  if (data === "[DONE]") return socket.close();
  const chunk = JSON.parse(data);
  if (chunk.error) throw new Error(chunk.error.message);
  process.stdout.write(chunk.choices[0]?.delta.content ?? "");
};
socket.onerror = () => {
  console.error(`cannot connect to ${server}, or the key is wrong`);
  process.exit(1);
};
