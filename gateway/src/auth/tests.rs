use jono_domain::account::{AccountKind, Role};
use jono_domain::id::TokenId;
use jono_domain::organisation::{Account, Organisation, Token};

use super::*;

const NOW: Time = Time(1_700_000_000_000);

fn organisation() -> OrganisationId {
    OrganisationId::from_bits(7)
}

fn agent() -> AgentId {
    AgentId::from_bits(8)
}

fn directory(token: Option<Digest32>, password_hash: Option<&str>, disabled: bool) -> Directory {
    let token = token.map(|hash| (TokenId::from_bits(1), Token { hash, label: "test".into(), created_at: NOW }));
    let account = Account {
        name: "Ann".into(),
        kind: AccountKind::Person,
        role: Role::Agent,
        queues: Default::default(),
        login: Some("ann".into()),
        password_hash: password_hash.map(str::to_owned),
        tokens: token.into_iter().collect(),
        disabled,
    };
    let mut known = Organisation { id: organisation(), created: true, ..Organisation::default() };
    known.accounts.insert(agent(), account);
    Directory::default().with(&known)
}

#[test]
fn a_resume_token_brings_its_customer_back_for_thirty_days() {
    let auth = Auth::new([1; 32]);
    let customer = CustomerId::from_bits(u128::MAX - 5);
    let token = auth.resume_token(organisation(), customer, NOW);
    assert_eq!(auth.customer_at(&token, NOW), Some((organisation(), customer)));
    assert_eq!(auth.customer_at(&token, NOW + (RESUME_TOKEN_MS - 1)), Some((organisation(), customer)));
    assert_eq!(auth.customer_at(&token, NOW + RESUME_TOKEN_MS), None, "expired");
    assert_eq!(auth.customer_at(&token, NOW - (CLOCKS_DIFFER_MS + 1)), None, "from the future");
    assert_eq!(Auth::new([2; 32]).customer_at(&token, NOW), None, "another store's");
}

#[test]
fn no_altered_token_is_accepted() {
    let auth = Auth::new([1; 32]);
    let token = auth.resume_token(organisation(), CustomerId::from_bits(9), NOW);
    for at in 0..token.len() {
        assert_eq!(auth.customer_at(&token[..at], NOW), None, "truncated at {at}");
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(auth.customer_at(&altered, NOW), None, "altered at {at}");
    }
    for hostile in ["", "jrt_", "jrt_====", "jrt_\u{0}", &format!("{token}A"), &format!(" {token}"), &"A".repeat(70_000)] {
        assert_eq!(auth.customer_at(hostile, NOW), None);
    }
}

#[test]
fn a_token_serves_its_own_purpose_only() {
    let auth = Auth::new([1; 32]);
    let directory = directory(None, Some("hash"), false);
    let desk = auth.desk_token(organisation(), agent(), "hash", NOW);
    let resume = auth.resume_token(organisation(), CustomerId::from_bits(agent().bits()), NOW);
    assert_eq!(auth.customer_at(&desk.replace("jdt_", "jrt_"), NOW), None);
    assert_eq!(auth.agent_at(&directory, &resume.replace("jrt_", "jdt_"), NOW), None);
    assert!(auth.agent_at(&directory, &desk, NOW).is_some());
}

#[test]
fn a_desk_token_ends_with_time_password_and_account() {
    let auth = Auth::new([1; 32]);
    let token = auth.desk_token(organisation(), agent(), "hash", NOW);
    let at = |directory: &Directory, now| auth.agent_at(directory, &token, now).map(|it| it.agent);
    assert_eq!(at(&directory(None, Some("hash"), false), NOW), Some(agent()));
    assert_eq!(at(&directory(None, Some("hash"), false), NOW + DESK_TOKEN_MS), None);
    assert_eq!(at(&directory(None, Some("other"), false), NOW), None);
    assert_eq!(at(&directory(None, None, false), NOW), None);
    assert_eq!(at(&directory(None, Some("hash"), true), NOW), None);
    assert_eq!(at(&Directory::default(), NOW), None);
}

#[test]
fn an_agent_token_ends_when_it_is_removed_or_its_account_disabled() {
    let auth = Auth::new([1; 32]);
    let (secret, hash) = Auth::new_agent_token();
    assert!(secret.starts_with("jat_") && secret.len() == 47);
    assert_eq!(Auth::agent_token_hash(&secret), hash);
    let with = directory(Some(hash), None, false);
    let signed_in = auth.agent_at(&with, &secret, NOW).unwrap();
    assert_eq!((signed_in.organisation, signed_in.agent), (organisation(), agent()));
    assert_eq!(auth.agent_for(&with, &secret), Some((organisation(), agent())));
    assert!(auth.still_holds(&with, &signed_in));
    for without in [directory(None, None, false), directory(Some([0; 32]), None, false), directory(Some(hash), None, true)] {
        assert_eq!(auth.agent_at(&without, &secret, NOW), None);
        assert!(!auth.still_holds(&without, &signed_in));
    }
}

#[test]
fn only_the_root_key_is_root() {
    assert!(!Auth::new([1; 32]).is_root(""));
    assert!(!Auth::new([1; 32]).with_root_key(Some("")).is_root(""));
    let auth = Auth::new([1; 32]).with_root_key(Some("correct horse"));
    assert!(auth.is_root("correct horse"));
    assert!(!auth.is_root("correct hors") && !auth.is_root("") && !auth.is_root("correct horse "));
}

#[test]
fn passwords_are_checked_and_bounded() {
    let hash = hash_password("long enough").unwrap();
    assert!(hash.starts_with("$argon2id$"));
    assert!(verify_password("long enough", Some(&hash)));
    assert!(!verify_password("long enougH", Some(&hash)));
    assert!(!verify_password("long enough", None));
    assert!(!verify_password("long enough", Some("not a hash")));
    assert_eq!(hash_password("short"), Err(PasswordRefused::TooShort));
    assert_eq!(hash_password(&"x".repeat(PASSWORD_BYTES_MAX + 1)), Err(PasswordRefused::TooLong));
    assert!(!verify_password(&"x".repeat(PASSWORD_BYTES_MAX + 1), Some(&hash)));
}

#[actix::test]
async fn passwords_take_turns() {
    let passwords = Passwords::default();
    let hash = passwords.hash("long enough".into()).await.unwrap();
    assert_eq!(passwords.verify("long enough".into(), Some(hash)).await, Ok(true));
    assert_eq!(passwords.verify("long enough".into(), None).await, Ok(false));
}

#[test]
fn random_things_differ() {
    assert_ne!(random_bits(), random_bits());
    assert_ne!(random_token(), random_token());
}
