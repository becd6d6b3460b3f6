// A chat server as one would write it with Socket.IO: rooms are conversations, the log of each is a Redis stream, and the
// sender's acknowledgement is given when the message is in it.
//
//   node server.mjs PORT REDIS_PORT

import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [port, redisPort] = process.argv.slice(2).map(Number);

const redis = createClient({ url: `redis://127.0.0.1:${redisPort}` });
redis.on("error", (error) => {
    console.error(`redis: ${error.message}`);
    process.exit(1);
});
await redis.connect();

const http = createServer();
const io = new Server(http, {
    adapter: createAdapter(redis),
    transports: ["websocket"],
    perMessageDeflate: false,
    httpCompression: false,
    serveClient: false,
});

io.on("connection", (socket) => {
    // Answered where the client asks for an answer: then it would be shown what is said there.
    socket.on("join", async (conversation, joined) => {
        await socket.join(conversation);
        joined?.();
    });
    socket.on("leave", (conversation) => socket.leave(conversation));
    socket.on("msg", async (message, stored) => {
        const id = await redis.xAdd(`conversation:${message.c}`, "*", { d: message.d });
        // Not back to the sender.
        socket.to(message.c).emit("msg", message);
        stored?.(id);
    });
});

http.listen(port, "127.0.0.1");
