//! The JSON of the admin API, to and from the domain's types.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use jono_domain::account::{AccountKind, Role};
use jono_domain::id::{AgentId, OrganisationId, QueueId, SiteId, TokenId};
use jono_domain::organisation::{
    Account, Organisation, OrganisationSettings, Policy, QueueConfig, QueueSettings, ReleaseClock, Site, TagDefinition,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An id as it stands in JSON: its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id<I>(pub(super) I);

impl<I: Display> Serialize for Id<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, I: FromStr<Err: Display>> Deserialize<'de> for Id<I> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// Ids whose prefix the schema tells.
pub(super) trait Prefixed {
    const PREFIX: &'static str;
}

macro_rules! prefixed {
    ($($id:ty),*) => { $(impl Prefixed for $id { const PREFIX: &'static str = <$id>::PREFIX; })* };
}
prefixed!(OrganisationId, SiteId, QueueId, AgentId, TokenId);

impl<I: Prefixed> JsonSchema for Id<I> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Id_{}", I::PREFIX).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^{}[a-h][a-z2-7]{{25}}$", I::PREFIX) })
    }
}

/// A list, a page at a time.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub(super) struct Page<T> {
    /// Ordered by id or name.
    pub(super) items: Vec<T>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<String>,
}

/// A new organisation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrganisation {
    /// Shown to visitors and agents; at most 200 bytes.
    pub(super) name: String,
}

/// What changes; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganisationPatch {
    /// Another name.
    pub(super) name: Option<String>,
    /// Other settings; those left out stay.
    pub(super) settings: Option<SettingsPatch>,
}

/// Settings that change; those left out stay.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsPatch {
    /// How long an agent stays online after the last connection dropped, milliseconds; at most a day.
    pub(super) offline_after_ms: Option<u64>,
}

impl SettingsPatch {
    pub(super) fn over(&self, settings: &OrganisationSettings) -> OrganisationSettings {
        OrganisationSettings { offline_after_ms: self.offline_after_ms.unwrap_or(settings.offline_after_ms) }
    }
}

/// An organisation's settings.
#[derive(Serialize, JsonSchema)]
pub(super) struct SettingsForm {
    /// How long an agent stays online after the last connection dropped, milliseconds.
    offline_after_ms: u64,
}

impl From<&OrganisationSettings> for SettingsForm {
    fn from(settings: &OrganisationSettings) -> Self {
        let OrganisationSettings { offline_after_ms } = settings;
        Self { offline_after_ms: *offline_after_ms }
    }
}

/// An organisation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Organisation")]
pub(super) struct OrganisationForm {
    id: Id<OrganisationId>,
    name: String,
    settings: SettingsForm,
}

impl From<&Organisation> for OrganisationForm {
    fn from(it: &Organisation) -> Self {
        Self { id: Id(it.id), name: it.name.clone(), settings: (&it.settings).into() }
    }
}

/// One embed of the widget.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Site")]
pub(super) struct SiteForm {
    /// Public: what the page names. Unique over all organisations; at most 64 bytes, no white space.
    pub(super) key: String,
    /// For operators.
    name: String,
    /// Origins, such as `https://shop.example`, from which browsers may open sockets: scheme, host and port in
    /// lower case, without a path; none is any.
    #[serde(default)]
    origins: Vec<String>,
    /// Queues that visitors can choose, in order; null is every queue.
    #[serde(default)]
    queues: Option<Vec<Id<QueueId>>>,
}

impl From<&Site> for SiteForm {
    fn from(site: &Site) -> Self {
        let Site { key, name, origins, queues } = site.clone();
        Self { key, name, origins, queues: queues.map(|queues| queues.into_iter().map(Id).collect()) }
    }
}

impl From<SiteForm> for Site {
    fn from(form: SiteForm) -> Self {
        let SiteForm { key, name, origins, queues } = form;
        Self { key, name, origins, queues: queues.map(|queues| queues.into_iter().map(|id| id.0).collect()) }
    }
}

/// When the clock of a claim runs.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Clock {
    /// Always while the conversation is claimed.
    Always,
    /// Only while the customer waits for an answer.
    CustomerWaits,
}

/// A queue's settings; those left out have their defaults.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct QueueSettingsForm {
    /// A claim is dropped after so long without activity of its holder, milliseconds.
    release_after_ms: u64,
    /// When that clock runs.
    release_clock: Clock,
    /// A conversation is closed after so long without activity of its customer, milliseconds.
    close_after_ms: u64,
    /// How long before a deadline it is announced, milliseconds.
    warn_before_ms: u64,
    /// How long tags and notes can be changed after the end, milliseconds.
    edit_after_close_ms: u64,
    /// Do agents see what the customer is typing?
    typing_preview: bool,
    /// Is the customer told a position?
    show_position: bool,
    /// How many may wait; null is any number.
    waiting_max: Option<u32>,
    /// Queues that its conversations can be transferred to; null is every queue.
    transfer_targets: Option<Vec<Id<QueueId>>>,
}

impl Default for QueueSettingsForm {
    fn default() -> Self {
        (&QueueSettings::default()).into()
    }
}

impl From<&QueueSettings> for QueueSettingsForm {
    fn from(settings: &QueueSettings) -> Self {
        let QueueSettings { policy, waiting_max, transfer_targets } = settings;
        let Policy {
            release_after_ms,
            release_clock,
            close_after_ms,
            warn_before_ms,
            edit_after_close_ms,
            typing_preview,
            show_position,
        } = *policy;
        let release_clock = match release_clock {
            ReleaseClock::Always => Clock::Always,
            ReleaseClock::CustomerWaits => Clock::CustomerWaits,
        };
        Self {
            release_after_ms,
            release_clock,
            close_after_ms,
            warn_before_ms,
            edit_after_close_ms,
            typing_preview,
            show_position,
            waiting_max: *waiting_max,
            transfer_targets: transfer_targets.as_ref().map(|targets| targets.iter().copied().map(Id).collect()),
        }
    }
}

impl From<QueueSettingsForm> for QueueSettings {
    fn from(form: QueueSettingsForm) -> Self {
        let policy = Policy {
            release_after_ms: form.release_after_ms,
            release_clock: match form.release_clock {
                Clock::Always => ReleaseClock::Always,
                Clock::CustomerWaits => ReleaseClock::CustomerWaits,
            },
            close_after_ms: form.close_after_ms,
            warn_before_ms: form.warn_before_ms,
            edit_after_close_ms: form.edit_after_close_ms,
            typing_preview: form.typing_preview,
            show_position: form.show_position,
        };
        let transfer_targets = form.transfer_targets.map(|targets| targets.into_iter().map(|id| id.0).collect());
        Self { policy, waiting_max: form.waiting_max, transfer_targets }
    }
}

/// A queue.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Queue")]
pub(super) struct QueueForm {
    /// Shown to visitors and agents; at most 200 bytes.
    name: String,
    /// Its rules.
    #[serde(default)]
    settings: QueueSettingsForm,
}

impl From<&QueueConfig> for QueueForm {
    fn from(queue: &QueueConfig) -> Self {
        Self { name: queue.name.clone(), settings: (&queue.settings).into() }
    }
}

impl From<QueueForm> for QueueConfig {
    fn from(form: QueueForm) -> Self {
        Self { name: form.name, settings: form.settings.into() }
    }
}

/// What drives an agent.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A person.
    #[default]
    Person,
    /// A program.
    Bot,
}

/// What an agent may do.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RoleForm {
    /// Serves its queues.
    #[default]
    Agent,
    /// Administers the organisation as well, and sees all its queues.
    Operator,
}

/// An agent, without credentials.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Agent")]
pub(super) struct AgentForm {
    /// Shown to customers and colleagues; at most 200 bytes.
    name: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    role: RoleForm,
    /// Queues it serves.
    #[serde(default)]
    queues: BTreeSet<Id<QueueId>>,
    /// What it signs in with; unique in the organisation, at most 64 bytes, no white space.
    #[serde(default)]
    login: Option<String>,
    /// May not sign in.
    #[serde(default)]
    disabled: bool,
}

/// An agent as it is to be; but for the name, what is left out stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentPut {
    /// Shown to customers and colleagues; at most 200 bytes.
    name: String,
    kind: Option<Kind>,
    role: Option<RoleForm>,
    /// Queues it serves.
    queues: Option<BTreeSet<Id<QueueId>>>,
    /// What it signs in with; unique in the organisation, at most 64 bytes, no white space. Null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    login: Option<Option<String>>,
    /// May not sign in.
    disabled: Option<bool>,
}

/// Tells what is null from what is left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl AgentPut {
    pub(super) fn over(self, account: &Account) -> Account {
        let AgentForm { name: _, kind, role, queues, login, disabled } = account.into();
        Account::from(AgentForm {
            name: self.name,
            kind: self.kind.unwrap_or(kind),
            role: self.role.unwrap_or(role),
            queues: self.queues.unwrap_or(queues),
            login: self.login.unwrap_or(login),
            disabled: self.disabled.unwrap_or(disabled),
        })
    }
}

impl From<&Account> for AgentForm {
    fn from(account: &Account) -> Self {
        Self {
            name: account.name.clone(),
            kind: match account.kind {
                AccountKind::Person => Kind::Person,
                AccountKind::Bot => Kind::Bot,
            },
            role: match account.role {
                Role::Agent => RoleForm::Agent,
                Role::Operator => RoleForm::Operator,
            },
            queues: account.queues.iter().copied().map(Id).collect(),
            login: account.login.clone(),
            disabled: account.disabled,
        }
    }
}

impl From<AgentForm> for Account {
    fn from(form: AgentForm) -> Self {
        Self {
            name: form.name,
            kind: match form.kind {
                Kind::Person => AccountKind::Person,
                Kind::Bot => AccountKind::Bot,
            },
            role: match form.role {
                RoleForm::Agent => Role::Agent,
                RoleForm::Operator => Role::Operator,
            },
            queues: form.queues.into_iter().map(|id| id.0).collect(),
            login: form.login,
            password_hash: None,
            tokens: std::collections::BTreeMap::new(),
            disabled: form.disabled,
        }
    }
}

/// A thing with its id.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}WithId")]
pub(super) struct WithId<I, T> {
    pub(super) id: I,
    #[serde(flatten)]
    pub(super) it: T,
}

/// An agent, and which credentials it has.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AgentWithCredentials")]
pub(super) struct AgentShown {
    id: Id<AgentId>,
    #[serde(flatten)]
    agent: AgentForm,
    /// Can sign in with a password.
    has_password: bool,
    /// Without their secrets, which are kept nowhere.
    tokens: Vec<TokenShown>,
}

impl AgentShown {
    pub(super) fn new(id: AgentId, account: &Account) -> Self {
        Self {
            id: Id(id),
            agent: account.into(),
            has_password: account.password_hash.is_some(),
            tokens: account.tokens.iter().map(|(id, token)| TokenShown::new(*id, token)).collect(),
        }
    }
}

/// A credential, without its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Token")]
pub(super) struct TokenShown {
    id: Id<TokenId>,
    label: String,
    /// When it was made, milliseconds since 1970.
    created_at: u64,
}

impl TokenShown {
    pub(super) fn new(id: TokenId, token: &jono_domain::organisation::Token) -> Self {
        Self { id: Id(id), label: token.label.clone(), created_at: token.created_at.0 }
    }
}

/// A new credential.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// For operators: what it is used for; at most 200 bytes.
    pub(super) label: String,
}

/// A credential with its secret, which is told this once.
#[derive(Serialize, JsonSchema)]
pub(super) struct TokenMade {
    #[serde(flatten)]
    pub(super) token: TokenShown,
    /// What the agent signs in with.
    pub(super) secret: String,
}

/// A new password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// 8 to 256 bytes.
    pub(super) password: String,
}

/// A tag that agents can set.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tag")]
pub(super) struct TagForm {
    /// Tags are listed in groups.
    #[serde(default)]
    group: Option<String>,
    /// A CSS colour such as `#1a7f37`.
    #[serde(default)]
    colour: Option<String>,
}

impl From<&TagDefinition> for TagForm {
    fn from(definition: &TagDefinition) -> Self {
        let TagDefinition { group, colour } = definition.clone();
        Self { group, colour }
    }
}

impl From<TagForm> for TagDefinition {
    fn from(form: TagForm) -> Self {
        Self { group: form.group, colour: form.colour }
    }
}

/// A tag with its name.
#[derive(Serialize, JsonSchema)]
pub(super) struct TagShown {
    pub(super) tag: String,
    #[serde(flatten)]
    pub(super) definition: TagForm,
}

/// What a keyword becomes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Canned")]
pub(super) struct CannedForm {
    /// At most 16 KiB.
    pub(super) text: String,
}

/// A shared canned message.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CannedWithKeyword")]
pub(super) struct CannedShown {
    /// What is typed behind `/`.
    pub(super) keyword: String,
    pub(super) text: String,
}

/// A name and a password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignIn")]
pub(super) struct SignInForm {
    pub(super) organisation: Id<OrganisationId>,
    pub(super) login: String,
    pub(super) password: String,
}

/// A token for the desk.
#[derive(Serialize, JsonSchema)]
pub(super) struct SignedIn {
    /// For `session.open` and for this API.
    pub(super) token: String,
    /// When it ends, milliseconds since 1970; a new password ends it at once.
    pub(super) expires_at: u64,
    pub(super) agent: WithId<Id<AgentId>, AgentForm>,
}
