//! A throwaway home with a group, and agents that talk to servers of their own.

use std::path::PathBuf;
use std::time::Duration;

use cccc_core::{Group, Home, Process};
use cccc_mcp::{Options, Runtime, Runtimes};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ClientRequest,
    CustomNotification, Implementation, PingRequest, ResourceUpdatedNotificationParam,
};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::{ClientHandler, RoleClient, ServiceExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long anything in a test may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) user: Group,
}

impl Place {
    /// A group with the foreman `lead` and the peers `alice` and `bob`.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("project")).unwrap();
        let home = Home::open(dir.path().join("home")).await.unwrap();
        let user = home.attach(dir.path().join("project")).await.unwrap();
        for id in ["lead", "alice", "bob"] {
            user.add_actor(id).await.unwrap();
        }
        Self { dir, user }
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    pub(crate) fn options(&self) -> Options {
        let mut options = Options::new(self.dir.path().join("home"), self.project());
        options.runtimes = Runtimes::lazily(|| {
            [("claude", true), ("codex", false), ("gemini", true)]
                .map(|(name, one_session)| Runtime {
                    name: name.to_owned(),
                    clients: vec![name.to_owned()],
                    one_session,
                })
                .into()
        });
        options
    }

    /// An agent whose server was told who it is.
    pub(crate) async fn agent(&self, id: &str) -> Agent {
        let mut options = self.options();
        options.actor = Some(id.to_owned());
        Agent::start(options, "test-client").await
    }

    /// An agent that was told nothing.
    pub(crate) async fn stranger(&self, client: &str) -> Agent {
        Agent::start(self.options(), client).await
    }
}

/// A process, made up.
pub(crate) fn process(pid: u32) -> Process {
    Process { pid, started: "1".into(), place: "test".into() }
}

/// What a server tells its client.
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    Tools,
    Updated(String),
    Custom(String, Value),
}

#[derive(Clone)]
pub(crate) struct Client {
    name: String,
    told: mpsc::UnboundedSender<Told>,
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new(&self.name, "1"))
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.told.send(Told::Updated(params.uri)).unwrap();
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.told.send(Told::Tools).unwrap();
    }

    async fn on_custom_notification(
        &self,
        notification: CustomNotification,
        _: NotificationContext<RoleClient>,
    ) {
        let params = notification.params.unwrap_or_default();
        self.told.send(Told::Custom(notification.method, params)).unwrap();
    }
}

/// An agent with its server.
pub(crate) struct Agent {
    pub(crate) client: RunningService<RoleClient, Client>,
    told: mpsc::UnboundedReceiver<Told>,
    server: JoinHandle<cccc_core::Result<()>>,
}

impl Agent {
    pub(crate) async fn start(options: Options, name: &str) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (reader, writer) = tokio::io::split(theirs);
        let server = tokio::spawn(cccc_mcp::serve(options, reader, writer));
        let (sender, told) = mpsc::unbounded_channel();
        let client = Client { name: name.to_owned(), told: sender }.serve(ours).await.unwrap();
        Self { client, told, server }
    }

    pub(crate) async fn result(&self, tool: &str, arguments: Value) -> CallToolResult {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = self.client.call_tool(params).await.unwrap();
        // What it has shown counts when it went out, which is a moment after it came in.
        self.client.send_request(ClientRequest::PingRequest(PingRequest::default())).await.unwrap();
        result
    }

    /// The answer to a call that succeeds.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let said = arguments.to_string();
        let result = self.result(tool, arguments).await;
        assert_ne!(result.is_error, Some(true), "{tool} {said}: {result:?}");
        result.structured_content.unwrap()
    }

    /// What is said to a call that is refused.
    pub(crate) async fn refused(&self, tool: &str, arguments: Value) -> Value {
        let said = arguments.to_string();
        let result = self.result(tool, arguments).await;
        assert_eq!(result.is_error, Some(true), "{tool} {said}: {result:?}");
        result.structured_content.unwrap()
    }

    /// Who it is.
    pub(crate) async fn who(&self) -> String {
        self.call("cccc_bootstrap", json!({})).await["actor"].as_str().unwrap().to_owned()
    }

    /// The texts in its inbox.
    pub(crate) async fn texts(&self) -> Vec<String> {
        let inbox = self.call("cccc_inbox_list", json!({})).await;
        let messages = inbox["messages"].as_array().unwrap().iter();
        messages.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn tools(&self) -> Vec<String> {
        let tools = self.client.list_tools(None).await.unwrap().tools;
        tools.into_iter().map(|tool| tool.name.into_owned()).collect()
    }

    /// The next thing that the server tells.
    pub(crate) async fn told(&mut self) -> Told {
        tokio::time::timeout(PATIENCE, self.told.recv()).await.unwrap().unwrap()
    }

    /// Whether the server has told nothing so far.
    pub(crate) fn is_told_nothing(&mut self) -> bool {
        self.told.try_recv().is_err()
    }

    /// Goes, and waits until the server has ended.
    pub(crate) async fn go(self) {
        self.client.cancel().await.unwrap();
        tokio::time::timeout(PATIENCE, self.server).await.unwrap().unwrap().unwrap();
    }
}
