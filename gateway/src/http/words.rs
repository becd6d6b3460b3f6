//! Tags and shared canned messages.

use jono_domain::organisation::{Change, TagDefinition};

use super::call::Call;
use super::forms::{CannedForm, CannedShown, Page, TagForm, TagShown};
use super::problem::Problem;

pub(super) async fn list_tags(call: Call) -> Result<Page<TagShown>, Problem> {
    let show = |tag: &String, definition: &TagDefinition| TagShown { tag: tag.clone(), definition: definition.into() };
    let (items, cursor) = call.page(&call.organisation().tags, String::clone, show)?;
    Ok(Page { items, cursor })
}

pub(super) async fn put_tag(call: Call, form: TagForm) -> Result<TagShown, Problem> {
    let tag = call.word("tag").to_owned();
    let definition = TagDefinition::from(form.clone());
    call.change(Change::PutTag { tag: tag.clone(), definition: Some(definition) }).await?;
    Ok(TagShown { tag, definition: form })
}

pub(super) async fn delete_tag(call: Call) -> Result<(), Problem> {
    let tag = call.word("tag").to_owned();
    if !call.organisation().tags.contains_key(&tag) && !call.has_key() {
        return Err(Problem::not_found());
    }
    call.change(Change::PutTag { tag, definition: None }).await
}

pub(super) async fn list_canned(call: Call) -> Result<Page<CannedShown>, Problem> {
    let show = |keyword: &String, text: &String| CannedShown { keyword: keyword.clone(), text: text.clone() };
    let (items, cursor) = call.page(&call.organisation().canned, String::clone, show)?;
    Ok(Page { items, cursor })
}

pub(super) async fn put_canned(call: Call, form: CannedForm) -> Result<CannedShown, Problem> {
    let keyword = call.word("keyword").to_owned();
    call.change(Change::PutCanned { keyword: keyword.clone(), text: Some(form.text.clone()) }).await?;
    Ok(CannedShown { keyword, text: form.text })
}

pub(super) async fn delete_canned(call: Call) -> Result<(), Problem> {
    let keyword = call.word("keyword").to_owned();
    if !call.organisation().canned.contains_key(&keyword) && !call.has_key() {
        return Err(Problem::not_found());
    }
    call.change(Change::PutCanned { keyword, text: None }).await
}
