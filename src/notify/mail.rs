//! Mail over SMTP with TLS; only with the feature `mail`, and where the policy permits it.

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::ExposeSecret as _;

use super::{Again, LIMIT, SendError, text};
use crate::config::alerts::channels::MailPlace;
use atalaya_domain::alert::Message;

pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mailer {
    pub(super) fn new(place: MailPlace) -> Result<Self, String> {
        let mailbox = |text: &str| {
            text.parse::<Mailbox>()
                .map_err(|error| format!("`{text}` is no mail address: {error}"))
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::relay(&place.server)
            .map_err(|error| format!("server: {error}"))?
            .timeout(Some(LIMIT));
        if let Some((user, password)) = place.login {
            let password = password.expose_secret().to_owned();
            transport = transport.credentials(Credentials::new(user, password));
        }
        Ok(Self {
            transport: transport.build(),
            from: mailbox(&place.from)?,
            to: place
                .to
                .iter()
                .map(|to| mailbox(to))
                .collect::<Result<_, _>>()?,
        })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), SendError> {
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .message_id(Some(format!("<{}@atalaya>", message.key)))
            .subject(text::title(message));
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let mail = mail.body(body(message)).map_err(SendError::later)?;
        match self.transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) => Err(SendError {
                again: if error.is_permanent() {
                    Again::No
                } else {
                    Again::Yes
                },
                ..SendError::later(error)
            }),
        }
    }
}

fn body(message: &Message) -> String {
    let mut body = String::new();
    for part in text::parts(message) {
        body.push_str(&part.line);
        body.push('\n');
        for line in &part.details {
            body.push_str("  ");
            body.push_str(line);
            body.push('\n');
        }
    }
    if let Some(rest) = text::rest(message) {
        body.push_str(&rest);
        body.push('\n');
    }
    body
}
