// What a page of another origin tries on the server at `url`: the outcome of each attempt.
async (url) => {
    const outcomes = {};
    const attempt = async (name, run) => {
        try { outcomes[name] = await run() } catch (error) { outcomes[name] = error.name }
    };
    const chat = JSON.stringify({model: "default", max_tokens: 1, messages: [{role: "user", content: "Hi"}]});
    const read = async (path, options) => (await (await fetch(url + path, options)).text()).slice(0, 20);
    await attempt("read the page", () => read(""));
    await attempt("read the models", () => read("v1/models"));
    await attempt("read the metrics", () => read("metrics"));
    await attempt("ask as JSON", () => read("v1/chat/completions", {method: "POST", body: chat, headers: {"Content-Type": "application/json"}}));
    await attempt("ask as text", () => read("v1/chat/completions", {method: "POST", body: chat}));
    await attempt("ask blindly", async () => (await fetch(url + "v1/chat/completions", {method: "POST", body: chat, mode: "no-cors"})).type);
    await attempt("delete", () => read("v1/files/file_1", {method: "DELETE"}));
    await attempt("render", () => read("api/render", {method: "POST", body: '{"text": "a"}'}));
    await attempt("frame", () => new Promise((resolve) => {
        const frame = document.createElement("iframe");
        frame.onload = () => { try { resolve(frame.contentDocument.title) } catch (error) { resolve(error.name) } };
        frame.src = url;
        document.body.append(frame);
    }));
    await attempt("load its script", () => new Promise((resolve) => {
        const script = document.createElement("script");
        script.onload = () => resolve("loaded");
        script.onerror = () => resolve("refused");
        script.src = url + "js/first.js";
        document.body.append(script);
    }));
    await attempt("socket", () => new Promise((resolve) => {
        const socket = new WebSocket(url.replace("http", "ws") + "v1/chat/completions");
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("refused");
    }));
    return outcomes;
}
