use crate::names::{InvalidName, TopicName};

/// What can name the topic of a new message. A [`TopicName`] costs nothing, a text one allocation.
pub trait IntoTopic {
    /// The topic, or the refused text and the reason.
    ///
    /// # Errors
    ///
    /// The text as given, for display, with what is wrong with it.
    fn into_topic(self) -> Result<TopicName, (String, InvalidName)>;
}

impl IntoTopic for &str {
    fn into_topic(self) -> Result<TopicName, (String, InvalidName)> {
        TopicName::new(self).map_err(|why| (self.to_owned(), why))
    }
}

impl IntoTopic for String {
    fn into_topic(self) -> Result<TopicName, (String, InvalidName)> {
        TopicName::new(&self).map_err(|why| (self, why))
    }
}

impl IntoTopic for &String {
    fn into_topic(self) -> Result<TopicName, (String, InvalidName)> {
        self.as_str().into_topic()
    }
}

impl IntoTopic for TopicName {
    fn into_topic(self) -> Result<TopicName, (String, InvalidName)> {
        Ok(self)
    }
}

impl IntoTopic for &TopicName {
    fn into_topic(self) -> Result<TopicName, (String, InvalidName)> {
        Ok(self.clone())
    }
}
