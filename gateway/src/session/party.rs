//! Who is behind a session.

use std::collections::BTreeSet;

use jono_domain::account::{Audience, Role, Who};
use jono_domain::conversation::{MetadataValue, Row, RowState};
use jono_domain::id::{AgentId, CustomerId, OrganisationId, QueueId, SiteId};
use jono_domain::message::Address;
use jono_domain::organisation::Organisation;

use super::accounts::Account;
use crate::auth::SignedIn;
use crate::wire::methods::Roles;

/// Who is behind a session.
pub(super) enum Party {
    Customer(Box<CustomerParty>),
    Agent(Box<AgentParty>),
}

/// A customer, and what their page told.
pub(super) struct CustomerParty {
    pub(super) organisation: OrganisationId,
    pub(super) customer: CustomerId,
    pub(super) site: SiteId,
    pub(super) name: Option<String>,
    pub(super) metadata: Vec<(String, MetadataValue)>,
}

/// An agent, and the rights that the session was opened with.
pub(super) struct AgentParty {
    pub(super) signed_in: SignedIn,
    pub(super) role: Role,
    pub(super) queues: BTreeSet<QueueId>,
}

impl Party {
    pub(super) fn who(&self) -> Who {
        match self {
            Party::Customer(party) => Who::Customer(party.organisation, party.customer),
            Party::Agent(party) => Who::Agent(party.signed_in.organisation, party.signed_in.agent),
        }
    }

    pub(super) fn audience(&self) -> Audience {
        match self {
            Party::Customer(_) => Audience::Customer,
            Party::Agent(_) => Audience::Agent,
        }
    }

    pub(super) fn organisation(&self) -> OrganisationId {
        match self {
            Party::Customer(party) => party.organisation,
            Party::Agent(party) => party.signed_in.organisation,
        }
    }

    pub(super) fn account_address(&self) -> Address {
        match self {
            Party::Customer(party) => Address::Customer(party.customer),
            Party::Agent(party) => Address::Agent(party.signed_in.agent),
        }
    }

    /// What every session of this account follows: the account, and of agents their organisation.
    pub(super) fn own(&self) -> impl Iterator<Item = Address> + use<> {
        let organisation = match self {
            Party::Customer(_) => None,
            Party::Agent(party) => Some(Address::Organisation(party.signed_in.organisation)),
        };
        organisation.into_iter().chain([self.account_address()])
    }

    /// Does the conversation itself say that the account has it: an agent holds it, or a customer's has not ended?
    pub(super) fn is_given(&self, row: &Row) -> bool {
        match self.agent() {
            Some(agent) => row.holder == Some(agent),
            None => row.state != RowState::Closed,
        }
    }

    pub(super) fn agent(&self) -> Option<AgentId> {
        match self {
            Party::Customer(_) => None,
            Party::Agent(party) => Some(party.signed_in.agent),
        }
    }

    pub(super) fn account(&self) -> Account {
        match self {
            Party::Customer(party) => party.customer.into(),
            Party::Agent(party) => party.signed_in.agent.into(),
        }
    }

    /// As the table of methods names it.
    pub(super) fn role(&self) -> Roles {
        match self {
            Party::Customer(_) => Roles::CUSTOMER,
            Party::Agent(party) => match party.role {
                Role::Agent => Roles::PLAIN_AGENT,
                Role::Operator => Roles::OPERATOR,
            },
        }
    }

    /// The queues that this party is shown, in their order: the site's for customers, by name for agents.
    pub(super) fn queues(&self, organisation: &Organisation) -> Vec<QueueId> {
        let by_name = |wanted: &dyn Fn(&QueueId) -> bool| {
            let mut queues: Vec<_> = organisation.queues.iter().filter(|(queue, _)| wanted(queue)).collect();
            queues.sort_by(|a, b| (&a.1.name, a.0).cmp(&(&b.1.name, b.0)));
            queues.into_iter().map(|(queue, _)| *queue).collect()
        };
        match self {
            Party::Customer(party) => match organisation.sites.get(&party.site) {
                Some(site) => match &site.queues {
                    Some(queues) => queues.iter().copied().filter(|queue| organisation.queue(*queue).is_some()).collect(),
                    None => by_name(&|_| true),
                },
                None => Vec::new(),
            },
            Party::Agent(party) => match party.role {
                Role::Operator => by_name(&|_| true),
                Role::Agent => by_name(&|queue| party.queues.contains(queue)),
            },
        }
    }
}

/// What a page tells of itself, as entries of metadata: its scalars as one group, its groups by
/// themselves, and the language.
pub(super) fn page_metadata(page: Vec<(String, MetadataValue)>, locale: Option<String>) -> Vec<(String, MetadataValue)> {
    let mut entries = Vec::new();
    let mut group = Vec::new();
    for (key, value) in page {
        match value {
            MetadataValue::Text(text) => group.push((key, text)),
            MetadataValue::Group(_) => entries.push((key, value)),
        }
    }
    if !group.is_empty() {
        entries.push(("page".to_owned(), MetadataValue::Group(group)));
    }
    entries.extend(locale.map(|locale| ("locale".to_owned(), MetadataValue::Text(locale))));
    entries
}
