//! Sites: embeds of the widget.

use jono_domain::id::SiteId;
use jono_domain::organisation::{Change, Site};

use super::call::Call;
use super::forms::{Id, Page, SiteForm, WithId};
use super::problem::Problem;
use crate::config::is_origin;

/// How much of a wrong origin is repeated.
const ORIGIN_CHARS_SHOWN: usize = 100;

type Shown = WithId<Id<SiteId>, SiteForm>;

fn show(id: SiteId, site: &Site) -> Shown {
    WithId { id: Id(id), it: site.into() }
}

pub(super) async fn list(call: Call) -> Result<Page<Shown>, Problem> {
    let (items, cursor) = call.page(&call.organisation().sites, SiteId::to_string, |id, site| show(*id, site))?;
    Ok(Page { items, cursor })
}

pub(super) async fn create(call: Call, form: SiteForm) -> Result<Shown, Problem> {
    store(&call, SiteId::from_bits(call.fresh_bits()), form).await
}

pub(super) async fn get(call: Call) -> Result<Shown, Problem> {
    let id = call.id("site")?;
    call.organisation().sites.get(&id).map(|site| show(id, site)).ok_or_else(Problem::not_found)
}

pub(super) async fn put(call: Call, form: SiteForm) -> Result<Shown, Problem> {
    let id = call.id("site")?;
    // Ids come from `create` alone: one that was removed, here or elsewhere, is never made again by its name.
    if !call.organisation_now()?.sites.contains_key(&id) {
        return Err(Problem::not_found());
    }
    store(&call, id, form).await
}

pub(super) async fn delete(call: Call) -> Result<(), Problem> {
    let site = call.id("site")?;
    if !call.organisation().sites.contains_key(&site) && !call.has_key() {
        return Err(Problem::not_found());
    }
    call.change(Change::PutSite { site, config: None }).await
}

async fn store(call: &Call, site: SiteId, form: SiteForm) -> Result<Shown, Problem> {
    let directory = call.state.admin.directory();
    let own = call.organisation().id;
    if directory.site(&form.key).is_some_and(|(owner, other)| owner.id != own || other != site) {
        return Err(Problem::from(jono_domain::reply::Refusal::conflict("another site has this key")).in_field(Some("key")));
    }
    let config = Site::from(form);
    if let Some(bad) = config.origins.iter().find(|text| !is_origin(text)) {
        let shown: String = bad.chars().take(ORIGIN_CHARS_SHOWN).collect();
        let message = format!(
            "`{shown}` is no origin: scheme://host[:port] in lower case without a path, such as https://shop.example; an empty \
             list is any"
        );
        return Err(Problem::bad_request(message).in_field(Some("origins")));
    }
    call.change(Change::PutSite { site, config: Some(config.clone()) }).await?;
    Ok(show(site, call.organisation_now()?.sites.get(&site).unwrap_or(&config)))
}
