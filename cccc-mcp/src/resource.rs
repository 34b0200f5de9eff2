//! The inbox as a resource: to be looked at and subscribed to. Looking at it takes nothing from it.

use cccc_core::GroupId;
use rmcp::RoleServer;
use rmcp::model::{ErrorData, ReadResourceResult, Resource, ResourceContents};
use rmcp::service::Peer;
use serde_json::json;

use crate::bounds::{ITEMS_BYTES, MAX_ITEMS, MAX_TEXT_BYTES, fitting};
use crate::message::View;
use crate::notice;
use crate::server::{Server, protocol_error};

/// How much of it notices may take.
const NOTICES_BYTES: usize = 2000;

/// The address of a group's inbox.
pub(crate) fn inbox_uri(group: &GroupId) -> String {
    format!("cccc://group/{group}/inbox")
}

/// The inbox of this server's group, if there is a group.
pub(crate) async fn list(server: &Server) -> Vec<Resource> {
    let Ok(group) = server.seat().group().await else { return Vec::new() };
    let inbox = Resource::new(inbox_uri(group.id()), "inbox")
        .with_title("Inbox")
        .with_description("Your unread messages. Reading this marks nothing as read.")
        .with_mime_type("application/json");
    vec![inbox]
}

/// The inbox, as JSON. Not a delivery: nothing says that an agent was shown it.
pub(crate) async fn read(server: &Server, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    known(server, uri).await?;
    let seated = server.seat().seated().await.map_err(|error| protocol_error(&error))?;
    let group = seated.group();
    let look = async {
        let inbox = group.inbox().limit(MAX_ITEMS).peek().await?;
        let voices = group.voices().await?;
        let mut views: Vec<View> =
            inbox.messages.iter().map(|one| View::unread(one, &voices, MAX_TEXT_BYTES)).collect();
        let notices = notice::fit(group.notices().peek().await?, NOTICES_BYTES);
        views.truncate(fitting(&views, ITEMS_BYTES - NOTICES_BYTES).max(1));
        Ok(json!({"actor": seated.actor(), "unread": inbox.unread, "messages": views, "notices": notices}))
    };
    let json = look.await.map_err(|error: cccc_core::Error| protocol_error(&error))?;
    let contents = ResourceContents::text(json.to_string(), uri).with_mime_type("application/json");
    Ok(ReadResourceResult::new(vec![contents]))
}

/// Has the client told whenever a message comes.
pub(crate) async fn subscribe(server: &Server, uri: &str, peer: &Peer<RoleServer>) -> Result<(), ErrorData> {
    known(server, uri).await?;
    let seated = server.seat().seated().await.map_err(|error| protocol_error(&error))?;
    server.watcher().subscribe(uri);
    server.watcher().follow(server, &seated, peer);
    Ok(())
}

/// Has whoever listens told whenever a message comes.
pub(crate) async fn follow(server: &Server, peer: &Peer<RoleServer>) -> Result<(), ErrorData> {
    let seated = server.seat().seated().await.map_err(|error| protocol_error(&error))?;
    server.watcher().follow(server, &seated, peer);
    Ok(())
}

/// Refuses what is no resource of this server.
pub(crate) async fn known(server: &Server, uri: &str) -> Result<(), ErrorData> {
    let group = server.seat().group().await.map_err(|error| protocol_error(&error))?;
    if uri == inbox_uri(group.id()) {
        return Ok(());
    }
    Err(ErrorData::resource_not_found(format!("there is no resource {uri}"), None))
}
