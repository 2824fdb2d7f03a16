//! Constructors of messages.

use super::message::{
    AudioMessage, EmoteMessage, FileMessage, ImageMessage, NoticeMessage, TextMessage, VideoMessage,
};
use super::{EventContent, EventError, Mentions, Relation, RoomEvent, RoomMessage};
use crate::{EventId, MxcUri, Raw, UserId};

/// The format of formatted bodies.
const HTML: &str = "org.matrix.custom.html";

impl RoomMessage {
    /// A text.
    pub fn text(body: impl Into<String>) -> Self {
        TextMessage::new(body).into()
    }

    /// A text message with an HTML version. Receivers sanitise the HTML, but do not rely on it.
    pub fn html(body: impl Into<String>, formatted: impl Into<String>) -> Self {
        let text = TextMessage::new(body).format(HTML);
        text.formatted_body(formatted).into()
    }

    /// A message of a bot. Bots must not respond to notices, which prevents endless loops between
    /// bots.
    pub fn notice(body: impl Into<String>) -> Self {
        NoticeMessage::new(body).into()
    }

    /// An emote, such as `waves`.
    pub fn emote(body: impl Into<String>) -> Self {
        EmoteMessage::new(body).into()
    }

    /// An image that was uploaded to `url`. `name` is its file name, which clients show without the
    /// image. For its size and type, build an [`ImageMessage`].
    pub fn image(name: impl Into<String>, url: MxcUri) -> Self {
        ImageMessage::new(name).url(url).into()
    }

    /// A file that was uploaded to `url`. `name` is its file name.
    pub fn file(name: impl Into<String>, url: MxcUri) -> Self {
        FileMessage::new(name).url(url).into()
    }

    /// A sound that was uploaded to `url`. `name` is its file name.
    pub fn audio(name: impl Into<String>, url: MxcUri) -> Self {
        AudioMessage::new(name).url(url).into()
    }

    /// A video that was uploaded to `url`. `name` is its file name.
    pub fn video(name: impl Into<String>, url: MxcUri) -> Self {
        VideoMessage::new(name).url(url).into()
    }

    /// Makes it a reply to `event`, in the thread of `event`, and mentions its sender.
    #[must_use]
    #[inline]
    pub fn reply_to(mut self, event: &RoomEvent) -> Self {
        *self.relates_to_mut() = Some(Relation::answer(event));
        self.mention([event.sender.clone()])
    }

    /// Adds it to the thread with this `root`. `latest` is the last event of the thread, or `root`
    /// itself: clients without thread support show a reply to it.
    #[must_use]
    pub fn in_thread(mut self, root: EventId, latest: EventId) -> Self {
        *self.relates_to_mut() = Some(Relation::thread(root, latest));
        self
    }

    /// Adds mentions of these users.
    #[must_use]
    pub fn mention(mut self, users: impl IntoIterator<Item = UserId>) -> Self {
        let mentions = self.mentions_mut().get_or_insert_with(Mentions::default);
        let known = mentions.user_ids.get_or_insert_default();
        for user in users {
            if !known.contains(&user) {
                known.push(user);
            }
        }
        self
    }

    /// Makes it an edit of the message `event`, which must be by the same sender.
    ///
    /// Clients without support for edits show it as a new message that begins with an asterisk.
    #[must_use]
    #[inline]
    pub fn edit_of(mut self, event: EventId) -> Self {
        *self.relates_to_mut() = None;
        let new = self.to_raw();
        if let Some(body) = self.body_mut() {
            body.insert_str(0, "* ");
        }
        if let Self::Text(TextMessage { formatted_body, .. })
        | Self::Notice(NoticeMessage { formatted_body, .. })
        | Self::Emote(EmoteMessage { formatted_body, .. }) = &mut self
            && let Some(formatted) = formatted_body
        {
            formatted.insert_str(0, "* ");
        }
        *self.new_content_mut() = Raw::from_json(new.json().to_owned()).ok();
        *self.relates_to_mut() = Some(Relation::replace(event));
        self
    }

    /// The new content, if this is an edit.
    #[inline]
    pub fn edited(&self) -> Option<Result<Self, EventError>> {
        self.new_content().map(Self::from_raw)
    }

    /// The body: the text, or the fallback text of other messages. May be empty.
    pub fn body(&self) -> &str {
        match self {
            Self::Audio(message) => &message.body,
            Self::Emote(message) => &message.body,
            Self::File(message) => &message.body,
            Self::Image(message) => &message.body,
            Self::KeyVerificationRequest(message) => message.body.as_deref().unwrap_or_default(),
            Self::Location(message) => &message.body,
            Self::Notice(message) => &message.body,
            Self::ServerNotice(message) => &message.body,
            Self::Text(message) => &message.body,
            Self::Video(message) => &message.body,
            Self::Other(message) => &message.body,
        }
    }

    fn body_mut(&mut self) -> Option<&mut String> {
        Some(match self {
            Self::Audio(message) => &mut message.body,
            Self::Emote(message) => &mut message.body,
            Self::File(message) => &mut message.body,
            Self::Image(message) => &mut message.body,
            Self::KeyVerificationRequest(message) => message.body.as_mut()?,
            Self::Location(message) => &mut message.body,
            Self::Notice(message) => &mut message.body,
            Self::ServerNotice(message) => &mut message.body,
            Self::Text(message) => &mut message.body,
            Self::Video(message) => &mut message.body,
            Self::Other(message) => &mut message.body,
        })
    }
}
