//! Organisations and their settings.

use std::collections::BTreeMap;

use jono_domain::id::OrganisationId;
use jono_domain::message::Order;
use jono_domain::organisation::{Change, Command};

use super::call::Call;
use super::forms::{NewOrganisation, OrganisationForm, OrganisationPatch, Page, SettingsForm, SettingsPatch};
use super::problem::Problem;

pub(super) async fn list(call: Call) -> Result<Page<OrganisationForm>, Problem> {
    let directory = call.state.admin.directory();
    let all: BTreeMap<_, _> = directory.organisations().map(|it| (it.id, it)).collect();
    let (items, cursor) = call.page(&all, OrganisationId::to_string, |_, it| OrganisationForm::from(&***it))?;
    Ok(Page { items, cursor })
}

pub(super) async fn create(call: Call, form: NewOrganisation) -> Result<OrganisationForm, Problem> {
    let id = OrganisationId::from_bits(call.fresh_bits());
    let change = Change::Create { organisation: id, name: form.name };
    call.ask(Order::Organisation(id, Box::new(Command::Change(Box::new(change))))).await?;
    let directory = call.state.admin.directory();
    directory.organisation(id).map(|it| OrganisationForm::from(&**it)).ok_or_else(Problem::not_found)
}

pub(super) async fn get(call: Call) -> Result<OrganisationForm, Problem> {
    Ok(OrganisationForm::from(&**call.organisation()))
}

pub(super) async fn patch(call: Call, form: OrganisationPatch) -> Result<OrganisationForm, Problem> {
    if form.name.is_some() && form.settings.is_some() && call.has_key() {
        // Two changes under one key: the second would be taken for a repetition of the first.
        return Err(Problem::bad_request("with an `Idempotency-Key`, change the name or the settings, not both"));
    }
    if let Some(name) = form.name {
        call.change(Change::Rename { name }).await?;
    }
    if let Some(settings) = form.settings {
        call.change(Change::SetSettings { settings: settings.over(&call.organisation().settings) }).await?;
    }
    Ok(OrganisationForm::from(&*call.organisation_now()?))
}

pub(super) async fn get_settings(call: Call) -> Result<SettingsForm, Problem> {
    Ok(SettingsForm::from(&call.organisation().settings))
}

pub(super) async fn patch_settings(call: Call, form: SettingsPatch) -> Result<SettingsForm, Problem> {
    call.change(Change::SetSettings { settings: form.over(&call.organisation().settings) }).await?;
    Ok(SettingsForm::from(&call.organisation_now()?.settings))
}
