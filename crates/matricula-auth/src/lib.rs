//! Conversations with a Matrix homeserver that end in a session.
