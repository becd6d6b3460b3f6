//! Sites: embeds of the widget.

use jono_domain::id::SiteId;
use jono_domain::organisation::{Change, Site};

use super::call::Call;
use super::forms::{Id, Page, SiteForm, WithId};
use super::problem::Problem;

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
    if directory.organisations().any(|it| it.id != own && it.sites.contains_key(&site)) {
        return Err(Problem::not_found());
    }
    let config = Site::from(form);
    call.change(Change::PutSite { site, config: Some(config.clone()) }).await?;
    Ok(show(site, call.organisation_now()?.sites.get(&site).unwrap_or(&config)))
}
