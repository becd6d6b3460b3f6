//! Owns the result of `session.open`: one text that fits an outbox, with what had to be left out named.

use jono_domain::limits::{PAGE_EVENTS_MAX, TEXT_BYTES_MAX};
use jono_domain::organisation::Organisation;
use jono_points::{Rule, is_broken};

use super::admission::log_name;
use super::limits::OPENED_LIST_BYTES;
use super::open::Context;
use super::opening::{AccountView, Opening};
use super::party::Party;
use super::render::{self, Reader};
use crate::wire::envelope::BATCH_MAX;
use crate::wire::id::Id;
use crate::wire::results::{Made, Me, Part, SessionOpened, ShownLimits, ShownOrganisation};
use crate::wire::shown::{BlockedUntil, OrganisationName, ShownTag};

impl Opening {
    pub(super) fn result(&mut self, has_later: bool, context: &Context<'_>) -> String {
        let directory = context.gateway.engine.directory();
        let nobody = Organisation::default();
        let organisation = directory.organisation(self.open.party.organisation()).map_or(&nobody, |it| &**it);
        let reader = Reader { audience: self.open.party.audience(), organisation: Some(organisation), directory: &directory };
        let mut incomplete = Vec::new();
        let mut cut = |part: Part, is_cut: bool| {
            if is_cut {
                incomplete.push(part);
            }
        };
        let known = self.wanted_queues.iter().filter_map(|queue| self.queues.iter().find(|it| it.queue == *queue));
        let (queues, more) = render::page(known.map(|it| (String::new(), reader.queue(it))), OPENED_LIST_BYTES);
        cut(Part::Queues, more.is_some() || self.open.party.queues(organisation).len() > queues.len());
        cut(Part::Conversations, has_later);

        let shared = organisation.canned_messages();
        let (me, ended, tags, agents, resume) = match (&self.open.party, &self.account) {
            (Party::Customer(party), account) => {
                let (blocked, ended) = match account {
                    Some(AccountView::Customer(view)) => (view.blocked, view.ended.clone()),
                    Some(AccountView::Agent(_)) | None => (None, Vec::new()),
                };
                let blocked = blocked.map(|until| BlockedUntil { until: until.map(|until| until.0) });
                let me = Me::Customer { id: Id(party.customer), name: party.name.as_deref(), blocked };
                let resume = context.gateway.auth.resume_token(party.organisation, party.customer, context.now);
                (me, Some(ended.into_iter().map(Id).collect()), None, None, Some(resume))
            }
            (Party::Agent(party), account) => {
                let agent = party.signed_in.agent;
                let settings = organisation.account(agent);
                let (status, personal) = match account {
                    Some(AccountView::Agent(view)) => (view.status, view.canned.as_slice()),
                    Some(AccountView::Customer(_)) | None => (jono_domain::agent::Status::Offline, [].as_slice()),
                };
                let (canned, more) = render::page(render::canned(personal, &shared), OPENED_LIST_BYTES);
                cut(Part::Canned, more.is_some());
                let tags =
                    organisation.tags.iter().map(|(tag, definition)| (tag.clone(), Made::of(&ShownTag::of(tag, definition))));
                let (tags, more) = render::page(tags, OPENED_LIST_BYTES);
                cut(Part::Tags, more.is_some());
                let (agents, more) = render::page(render::colleagues(organisation, &self.board, |_, _| true), OPENED_LIST_BYTES);
                cut(Part::Agents, more.is_some());
                let me = Me::Agent {
                    id: Id(agent),
                    name: settings.map_or("", |account| &account.name),
                    account: settings.map_or(jono_domain::account::AccountKind::Person, |account| account.kind).into(),
                    role: party.role.into(),
                    status: status.into(),
                    canned,
                };
                (me, None, Some(tags), Some(agents), None)
            }
        };
        let session = context.session();
        render::written(&SessionOpened {
            session: format!("ses_{:x}_{:x}", session.gateway, session.session),
            resume,
            resumed: if self.since.is_empty() {
                self.was_resumed
            } else {
                self.is_complete || is_broken(Rule::ResumedMeansComplete)
            },
            log: log_name(context.gateway.engine.log_identity()),
            me,
            organisation: ShownOrganisation {
                named: OrganisationName { id: Id(organisation.id), name: &organisation.name },
                tags,
                agents,
            },
            queues,
            conversations: std::mem::take(&mut self.conversations),
            ended,
            incomplete,
            limits: ShownLimits {
                message_bytes: TEXT_BYTES_MAX,
                frame_bytes: context.gateway.settings.limits.frame_bytes,
                batch: BATCH_MAX,
                history: PAGE_EVENTS_MAX,
                requests: context.gateway.settings.limits.requests,
            },
            now: context.now.0,
        })
    }
}
