//! The baseline for our socket layer: an echo server on `actix-web-actors`, with the flags of the `echo` example of
//! `jono-socket`: `echo_actors [address] [workers]`. Prints where it listens; ends on a line of input.

use actix::{Actor, StreamHandler};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws::{Message, ProtocolError, WebsocketContext, start};
use std::{env, io};

struct Echo;

impl Actor for Echo {
    type Context = WebsocketContext<Self>;
}

impl StreamHandler<Result<Message, ProtocolError>> for Echo {
    fn handle(&mut self, message: Result<Message, ProtocolError>, context: &mut Self::Context) {
        match message {
            Ok(Message::Text(text)) => context.text(text),
            Ok(Message::Ping(payload)) => context.pong(&payload),
            Ok(Message::Close(reason)) => context.close(reason),
            Ok(Message::Binary(_) | Message::Continuation(_) | Message::Pong(_) | Message::Nop) => {}
            Err(_) => context.close(None),
        }
    }
}

async fn upgrade(request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Error> {
    start(Echo, &request, body)
}

#[actix::main]
async fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9000".into());
    let mut server = HttpServer::new(|| App::new().default_service(web::get().to(upgrade))).disable_signals();
    if let Some(workers) = arguments.next() {
        server = server.workers(workers.parse().map_err(io::Error::other)?);
    }
    let server = server.bind(address)?;
    let address = server.addrs().first().copied().ok_or_else(|| io::Error::other("bound to no address"))?;
    println!("echo on ws://{address}/");
    let server = server.run();
    let handle = server.handle();
    actix::spawn(server);
    web::block(|| io::stdin().read_line(&mut String::new())).await.map_err(io::Error::other)??;
    handle.stop(false).await;
    Ok(())
}
