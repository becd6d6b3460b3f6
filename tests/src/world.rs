//! A server with an organisation on it, made as an operator would: through the admin API.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::{Client, Credential};
use crate::documents::OpenRpc;
use crate::http;
use crate::server::Server;

/// An agent's account.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it signs in with.
    pub token: String,
    /// `agent` or `operator`.
    pub role: &'static str,
}

/// An organisation with two queues, three agents and an operator.
#[derive(Clone, Debug)]
pub struct Organisation {
    /// Its id.
    pub id: String,
    /// Its site's public key.
    pub site: String,
    /// A queue that all agents serve.
    pub support: String,
    /// A queue that Ben and Cleo serve.
    pub sales: String,
    /// Serves support.
    pub anna: Agent,
    /// Serves both.
    pub ben: Agent,
    /// Serves both.
    pub cleo: Agent,
    /// Administers.
    pub olivia: Agent,
}

/// A server and its first organisation.
pub struct World {
    /// The server.
    pub server: Server,
    /// The organisation.
    pub acme: Organisation,
    /// What the server says of itself.
    pub documents: Arc<OpenRpc>,
}

impl World {
    /// A server with defaults.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A server with these variables set.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::on(Server::start(settings).await).await
    }

    /// A server that runs.
    pub async fn on(server: Server) -> Self {
        let documents = http::request(server.address(), "GET", "/v1/openrpc.json", None, None).await.with_status(200);
        let acme = Organisation::make(&server, "acme").await;
        Self { server, acme, documents: Arc::new(OpenRpc::new(documents)) }
    }

    /// One more organisation; names are unique.
    pub async fn organisation(&self, name: &str) -> Organisation {
        Organisation::make(&self.server, name).await
    }

    /// Sets the rules of a queue; those left out have their defaults.
    pub async fn set_queue(&self, queue: &str, settings: Value) {
        let path = format!("/v1/organisations/{}/queues/{queue}", self.acme.id);
        let name = self.server.root("GET", &path, None).await.with_status(200)["name"].clone();
        self.server.root("PUT", &path, Some(&json!({ "name": name, "settings": settings }))).await.with_status(200);
    }

    /// A connection without a session.
    pub async fn stranger(&self) -> Client {
        let credential = Credential { params: json!({}), role: "before open" };
        Client::connect(self.server.address(), &self.documents, credential).await
    }

    /// How a customer of the first organisation comes.
    #[must_use]
    pub fn as_customer(&self, name: &str) -> Credential {
        as_customer_of(&self.acme, name)
    }

    /// A customer's session.
    pub async fn customer(&self, name: &str) -> Client {
        self.customer_of(&self.acme, name).await
    }

    /// A customer's session with another organisation.
    pub async fn customer_of(&self, organisation: &Organisation, name: &str) -> Client {
        self.open(as_customer_of(organisation, name)).await
    }

    /// An agent's session.
    pub async fn agent(&self, agent: &Agent) -> Client {
        self.open(as_agent(agent)).await
    }

    /// A session.
    pub async fn open(&self, credential: Credential) -> Client {
        let mut client = Client::connect(self.server.address(), &self.documents, credential).await;
        client.open().await;
        client
    }

    /// A conversation that this customer has just begun.
    pub async fn start_conversation(&self, customer: &mut Client, message: &str) -> String {
        let started = customer.ok("conversation.start", json!({ "queue": self.acme.support, "message": message })).await;
        id_of(&started["conversation"])
    }

    /// A conversation between these two, and its claim.
    pub async fn conversation(&self, customer: &mut Client, agent: &mut Client) -> (String, u64) {
        let conversation = self.start_conversation(customer, "Hello?").await;
        let claimed = agent.ok("conversation.claim", json!({ "conversation": conversation })).await;
        // What is not stored (typing) reaches only those who follow already.
        agent.catch_up(&conversation).await;
        (conversation, claimed["claim"].as_u64().expect("a number"))
    }
}

/// The text of an id.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn id_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no id")).to_owned()
}

/// How a customer of an organisation comes.
#[must_use]
pub fn as_customer_of(organisation: &Organisation, name: &str) -> Credential {
    Credential { params: json!({ "role": "customer", "site": organisation.site, "name": name }), role: "customer" }
}

/// How an agent comes.
#[must_use]
pub fn as_agent(agent: &Agent) -> Credential {
    Credential { params: json!({ "role": "agent", "token": agent.token }), role: agent.role }
}

impl Organisation {
    async fn make(server: &Server, name: &str) -> Self {
        let made = server.root("POST", "/v1/organisations", Some(&json!({ "name": name }))).await.with_status(201);
        let id = id_of(&made["id"]);
        let at = |rest: &str| format!("/v1/organisations/{id}{rest}");
        let make = async |path: String, body: Value| server.root("POST", &path, Some(&body)).await.with_status(201);
        let support = id_of(&make(at("/queues"), json!({ "name": "Support" })).await["id"]);
        let sales = id_of(&make(at("/queues"), json!({ "name": "Sales" })).await["id"]);
        let site = format!("site-of-{name}");
        make(at("/sites"), json!({ "key": site, "name": "Shop" })).await;
        for tag in ["bug", "order"] {
            server.root("PUT", &at(&format!("/tags/{tag}")), Some(&json!({ "group": "Subject" }))).await.with_status(200);
        }
        let hire = async |name: &str, role: &'static str, queues: Value| {
            let body = json!({ "name": name, "login": name.to_lowercase(), "role": role, "queues": queues });
            let agent = id_of(&make(at("/agents"), body).await["id"]);
            let token = make(at(&format!("/agents/{agent}/tokens")), json!({ "label": "test" })).await;
            Agent { id: agent, name: name.to_owned(), token: id_of(&token["secret"]), role }
        };
        let anna = hire("Anna", "agent", json!([support])).await;
        let ben = hire("Ben", "agent", json!([support, sales])).await;
        let cleo = hire("Cleo", "agent", json!([support, sales])).await;
        let olivia = hire("Olivia", "operator", json!([])).await;
        Self { id, site, support, sales, anna, ben, cleo, olivia }
    }
}
