//! One question to an OpenAI-compatible `/chat/completions`, in the dialect that the server understands.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{AnswerFormat, LlmConfig};
use crate::remote::{self, Dialect, Limits, Remote, RemoteError};

/// From the strictest to none. Servers refuse what they do not know.
const FORMATS: [AnswerFormat; 4] =
    [AnswerFormat::JsonSchema, AnswerFormat::JsonObjectWithSchema, AnswerFormat::JsonObject, AnswerFormat::Text];

/// A model behind a server.
#[derive(Debug)]
pub(super) struct Chat {
    remote: Remote,
    url: reqwest::Url,
    models: reqwest::Url,
    model: String,
    max_tokens: u32,
    temperature: f32,
    /// Over [`FORMATS`].
    dialect: Dialect,
}

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) system: &'a str,
    pub(super) user: &'a str,
    /// Names the schema.
    pub(super) name: &'static str,
    /// The JSON schema of the answer.
    pub(super) schema: &'a str,
}

/// What came.
pub(super) struct Reply {
    pub(super) text: Zeroizing<String>,
    /// It ended at the limit of tokens.
    pub(super) cut: bool,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: [Message<'a>; 2],
    temperature: f32,
    max_tokens: u32,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonSchema {
        json_schema: Schema<'a>,
    },
    JsonObject {
        #[serde(skip_serializing_if = "Option::is_none")]
        schema: Option<&'a RawValue>,
    },
}

#[derive(Serialize)]
struct Schema<'a> {
    name: &'static str,
    strict: bool,
    schema: &'a RawValue,
}

#[derive(Deserialize)]
struct Response {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Said {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

impl Chat {
    pub(super) fn new(config: &LlmConfig) -> Result<Self, RemoteError> {
        let url = remote::address(&config.url, "chat/completions")?;
        let base = config.url.trim().trim_end_matches('/');
        let models = remote::address(base.strip_suffix("/chat/completions").unwrap_or(base), "models")?;
        let wanted = config.format.and_then(|format| FORMATS.iter().position(|f| *f == format));
        Ok(Self {
            remote: Remote::new(&url, config.api_key.as_ref(), config.concurrency)?,
            url,
            models,
            model: config.model.clone(),
            max_tokens: config.max_tokens,
            temperature: config.temperature,
            dialect: wanted.map_or_else(|| Dialect::any_of(FORMATS.len()), Dialect::only),
        })
    }

    pub(super) fn host(&self) -> &str {
        self.remote.host()
    }

    pub(super) fn stays_here(&self) -> bool {
        remote::is_loopback(&self.url)
    }

    /// The names of the models that the server has.
    pub(super) fn models(&self, limits: Limits) -> Result<Vec<String>, RemoteError> {
        let body = self.remote.get(&self.models, limits)?;
        let models: Models = serde_json::from_slice(&body).map_err(|_| self.broken("its list of models is none"))?;
        Ok(models.data.into_iter().map(|model| model.id).collect())
    }

    /// Asks, and finds out what form of question the server understands.
    pub(super) fn ask(&self, question: &Question<'_>, limits: Limits) -> Result<Reply, RemoteError> {
        let body = self.dialect.ask(limits, |form, limits| {
            self.remote.post(&self.url, "application/json", self.body(question, FORMATS[form])?, limits)
        })?;
        self.read(&body)
    }

    fn body(&self, question: &Question<'_>, format: AnswerFormat) -> Result<Zeroizing<Vec<u8>>, RemoteError> {
        let schema: &RawValue = serde_json::from_str(question.schema).map_err(|_| self.broken("no such schema"))?;
        let response_format = match format {
            AnswerFormat::JsonSchema => {
                Some(Format::JsonSchema { json_schema: Schema { name: question.name, strict: true, schema } })
            }
            AnswerFormat::JsonObjectWithSchema => Some(Format::JsonObject { schema: Some(schema) }),
            AnswerFormat::JsonObject => Some(Format::JsonObject { schema: None }),
            AnswerFormat::Text => None,
        };
        let request = Request {
            model: &self.model,
            messages: [
                Message { role: "system", content: question.system },
                Message { role: "user", content: question.user },
            ],
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            stream: false,
            response_format,
        };
        // Growing would leave copies of words behind.
        let room = 2 * (question.user.len() + question.system.len()) + question.schema.len() + 512;
        let mut body = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *body, &request).map_err(|_| self.broken("the question cannot be written"))?;
        Ok(body)
    }

    fn read(&self, body: &[u8]) -> Result<Reply, RemoteError> {
        // The error would quote the answer.
        let response: Response =
            serde_json::from_slice(body).map_err(|_| self.broken("its answer is no completion"))?;
        let mut choice = response.choices.into_iter().next().ok_or_else(|| self.broken("it gave no choice"))?;
        let text = Zeroizing::new(choice.message.content.take().unwrap_or_default());
        Ok(Reply { text, cut: choice.finish_reason.as_deref() == Some("length") })
    }

    fn broken(&self, what: &str) -> RemoteError {
        RemoteError::Broken { host: self.host().to_owned(), what: what.to_owned() }
    }
}
