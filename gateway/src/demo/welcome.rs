//! What is printed when the demo has started. Every command works as printed.

use std::net::SocketAddr;

use super::{AGENTS, ORGANISATION, PASSWORD, SALES, SITE_KEY, SUPPORT, token};

/// What can be done next, where scripted visitors come or do not.
#[must_use]
pub fn welcome(address: SocketAddr, has_bots: bool) -> String {
    let agents: Vec<String> = AGENTS.iter().map(|agent| format!("{} ({})", agent.login, token(agent.login))).collect();
    let agents = agents.join(", ");
    let (anna, olivia) = (token("anna"), token("olivia"));
    let bots = if has_bots {
        "\nScripted visitors arrive in Support, and Robo serves some of them; --no-bots switches that off.\n"
    } else {
        ""
    };
    format!(
        r#"
The demo organisation {ORGANISATION}
  site key  {SITE_KEY}
  queues    Sales {SALES}, Support {SUPPORT}
  agents    {agents}; olivia is the operator
            at the desk each signs in with that name and the password {PASSWORD}

Be a visitor: http://{address}/demo/ and beside it an agent: http://{address}/desk/ (anna, {PASSWORD})
{bots}
Look around: http://{address}/ or

curl -s http://{address}/v1/organisations/{ORGANISATION}/queues -H 'Authorization: Bearer {olivia}'

Or from a terminal: a visitor (any WebSocket client will do; this one: pip install websockets):

python3 - <<'END'
from websockets.sync.client import connect
with connect("ws://{address}/v1/ws") as socket:
    socket.send('{{"jsonrpc":"2.0","id":1,"method":"session.open","params":{{"role":"customer","site":"{SITE_KEY}","name":"Vera"}}}}')
    print(socket.recv())
    socket.send('{{"jsonrpc":"2.0","id":2,"method":"conversation.start","params":{{"queue":"{SUPPORT}","message":"Hello, is anybody there?"}}}}')
    for line in socket: print(line, flush=True)
END

and in another terminal Anna, who takes the next customer and answers:

python3 - <<'END'
import json
from websockets.sync.client import connect
with connect("ws://{address}/v1/ws") as socket:
    def ask(number, method, **params):
        socket.send(json.dumps({{"jsonrpc": "2.0", "id": number, "method": method, "params": params}}))
        for line in socket:
            print(line, flush=True)
            answer = json.loads(line)
            if answer.get("id") == number: return answer["result"]
    ask(1, "session.open", role="agent", token="{anna}")
    taken = ask(2, "queue.pick", queue="{SUPPORT}")
    ask(3, "message.send", conversation=taken["conversation"], claim=taken["claim"], text="Hello Vera, this is Anna.")
    for line in socket: print(line, flush=True)
END

Ctrl-C ends it.
"#
    )
}
