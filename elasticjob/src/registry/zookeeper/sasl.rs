//! SASL: a user and a password that the servers know.

use elasticjob_config::Secret;
use zookeeper_client as zk;

use super::fault::{Fault, Faults};
use crate::registry::Error;

const USER: &str = "reg-center.sasl.user";
const PASSWORD: &str = "reg-center.sasl.password";

/// A user whom the servers know by DIGEST-MD5.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sasl {
    user: String,
    password: Secret,
}

impl Sasl {
    /// Refuses what the client would send wrongly.
    pub(super) fn new(user: String, password: Secret) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let mut fault = |setting, value, problem: &str| faults.push(Fault::new(setting, value, problem));
        if user.is_empty() || user.contains(['"', '\\']) || user.chars().any(char::is_control) {
            let problem = "the name of a user is not empty, and has no `\"`, no `\\` and no control characters";
            fault(USER, Some(user.clone()), problem);
        }
        if is_hashed_differently(&user) {
            fault(USER, Some(user.clone()), LATIN);
        }
        if password.reveal().is_empty() {
            fault(PASSWORD, None, "the password is empty");
        }
        if is_hashed_differently(password.reveal()) {
            fault(PASSWORD, None, LATIN);
        }
        faults.check()?;
        Ok(Self { user, password })
    }

    pub(super) fn options(&self) -> zk::SaslOptions {
        zk::SaslOptions::digest_md5(self.user.clone(), self.password.reveal().to_owned()).into()
    }

    /// Makes sure that the servers took the login. Servers without a JAAS file answer that all is well, and so do those that
    /// allow clients whose login failed.
    pub(super) async fn check(&self, client: &zk::Client) -> Result<(), Error> {
        match client.list_auth_users().await {
            Ok(users) if !users.iter().any(|user| user.scheme() == "sasl") => Err(Error::Refused(format!(
                "the servers did not log in the SASL user `{}`: they need a section `Server` with this user in their JAAS file \
                 (-Djava.security.auth.login.config), the right password, and the setting `authProvider.sasl`",
                self.user
            ))),
            // ZooKeeper 3.6 cannot be asked. Nodes that only we may use cannot be created there without a login.
            Ok(_) | Err(zk::Error::Unimplemented) => Ok(()),
            Err(error) => Err(Error::Unreachable(format!("the SASL login cannot be checked: {error}"))),
        }
    }
}

/// What is wrong with a text that [`is_hashed_differently`].
const LATIN: &str = "it has letters of Latin-1 beside those of ASCII, such as `é`, and no others: Java's servers and this client \
                     hash such texts differently";

/// Returns whether Java hashes this text as Latin-1, as RFC 2831 wants it of texts that have no other letters. The client
/// hashes all texts as UTF-8.
fn is_hashed_differently(text: &str) -> bool {
    !text.is_ascii() && text.chars().all(|c| u32::from(c) < 0x100)
}

#[cfg(test)]
mod tests {
    use super::*;

    mod user {
        use super::*;

        fn faults(user: &str, password: &str) -> String {
            match Sasl::new(user.to_owned(), Secret::new(password)) {
                Ok(_) => String::new(),
                Err(faults) => faults.to_string(),
            }
        }

        #[test]
        fn is_refused_if_the_client_would_send_another() {
            for (user, password) in [("shop", "open sesame"), ("商店", "开门"), ("shop/host@REALM", "é开")] {
                assert_eq!(faults(user, password), "", "{user} {password}");
            }
            for user in ["", "a\"b", "a\\b", "a\nb"] {
                let text = faults(user, "secret");
                assert!(
                    text.contains("`elasticjob.reg-center.sasl.user` is `"),
                    "{user}: {text}"
                );
            }
            let text = faults("Zoé", "olé");
            assert!(
                text.contains("`elasticjob.reg-center.sasl.user` is `Zoé`: it has letters of Latin-1"),
                "{text}"
            );
            assert!(
                text.contains("`elasticjob.reg-center.sasl.password`: it has letters of Latin-1"),
                "{text}"
            );
            assert!(!text.contains("olé"), "{text}");
        }
    }
}
