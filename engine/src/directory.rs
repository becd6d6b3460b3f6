//! Every organisation's settings, as this process knows them: an immutable picture, replaced as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use jono_domain::id::{AgentId, OrganisationId, QueueId, SiteId, TokenId};
use jono_domain::message::Address;
use jono_domain::organisation::Organisation;

/// The picture.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    organisations: HashMap<OrganisationId, Arc<Organisation>>,
    queues: HashMap<QueueId, OrganisationId>,
    agents: HashMap<AgentId, OrganisationId>,
    sites: HashMap<String, (OrganisationId, SiteId)>,
    tokens: HashMap<[u8; 32], (OrganisationId, AgentId, TokenId)>,
}

impl Directory {
    /// All organisations, in no order.
    pub fn organisations(&self) -> impl Iterator<Item = &Arc<Organisation>> {
        self.organisations.values()
    }

    /// One organisation.
    #[must_use]
    pub fn organisation(&self, id: OrganisationId) -> Option<&Arc<Organisation>> {
        self.organisations.get(&id)
    }

    /// Whose queue it is.
    #[must_use]
    pub fn of_queue(&self, queue: QueueId) -> Option<&Arc<Organisation>> {
        self.queues.get(&queue).and_then(|id| self.organisation(*id))
    }

    /// Whose agent it is.
    #[must_use]
    pub fn of_agent(&self, agent: AgentId) -> Option<&Arc<Organisation>> {
        self.agents.get(&agent).and_then(|id| self.organisation(*id))
    }

    /// Whose entity it is, as far as settings tell: conversations and customers know it themselves.
    #[must_use]
    pub fn of(&self, address: Address) -> Option<&Arc<Organisation>> {
        match address {
            Address::Organisation(id) => self.organisation(id),
            Address::Queue(queue) => self.of_queue(queue),
            Address::Agent(agent) => self.of_agent(agent),
            Address::Customer(_) | Address::Conversation(_) => None,
        }
    }

    /// The site with this public key.
    #[must_use]
    pub fn site(&self, key: &str) -> Option<(&Arc<Organisation>, SiteId)> {
        let (organisation, site) = self.sites.get(key)?;
        Some((self.organisation(*organisation)?, *site))
    }

    /// The agent that a credential belongs to, by the SHA-256 of the secret; disabled agents have none.
    #[must_use]
    pub fn token(&self, hash: &[u8; 32]) -> Option<(&Arc<Organisation>, AgentId, TokenId)> {
        let (organisation, agent, token) = self.tokens.get(hash)?;
        Some((self.organisation(*organisation)?, *agent, *token))
    }

    /// The picture with one organisation as it is now.
    #[must_use]
    pub fn with(&self, organisation: &Organisation) -> Self {
        let id = organisation.id;
        let mut after = self.without(id);
        after.queues.extend(organisation.queues.keys().map(|queue| (*queue, id)));
        after.agents.extend(organisation.accounts.keys().map(|agent| (*agent, id)));
        for (site, config) in &organisation.sites {
            // The first owner of a key keeps it.
            after.sites.entry(config.key.clone()).or_insert((id, *site));
        }
        for (agent, account) in organisation.accounts.iter().filter(|(_, account)| !account.disabled) {
            after.tokens.extend(account.tokens.iter().map(|(token, config)| (config.hash, (id, *agent, *token))));
        }
        let mut settings = organisation.clone();
        settings.board.clear();
        after.organisations.insert(id, Arc::new(settings));
        after
    }

    /// The picture without one organisation.
    #[must_use]
    pub fn without(&self, id: OrganisationId) -> Self {
        let mut after = self.clone();
        after.organisations.remove(&id);
        after.queues.retain(|_, owner| *owner != id);
        after.agents.retain(|_, owner| *owner != id);
        after.sites.retain(|_, (owner, _)| *owner != id);
        after.tokens.retain(|_, (owner, ..)| *owner != id);
        after
    }
}
