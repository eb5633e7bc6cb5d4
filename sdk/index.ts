/** TypeScript client and callback server for the Outrigger sidecar. */
export type { BindingClient, BindingResponse, InvokeBinding } from "./binding.ts";
export {
  type BindingEvent,
  type BindingHandler,
  type CallbackOptions,
  type CallbackServer,
  type EventHandler,
  type EventOutcome,
  serveCallbacks,
  type TopicHandler,
} from "./callbacks.ts";
export type { CallOptions, ChannelOptions } from "./channel.ts";
export { OutriggerClient } from "./client.ts";
export type {
  ConfigChange,
  ConfigClient,
  ConfigItem,
  ConfigItemToSave,
  ConfigSelection,
  ConfigSubscription,
} from "./config.ts";
export { OutriggerError, type StatusName } from "./error.ts";
export type { FileClient, FileEntry, FileName, ListFiles, PutFile } from "./file.ts";
export type { HttpAnswer, InvokeClient, InvokeGrpc, InvokeHttp } from "./invoke.ts";
export type { HeldLock, LockClient, LockHolder, LockLease, LockOutcome, WithLock } from "./lock.ts";
export type { PublishEvent, PubSubClient, ReceivedEvent, SubscribeTopic, TopicSubscription } from "./pubsub.ts";
export type { GetSecret, Secret, SecretClient } from "./secret.ts";
export type { NextId, SequencerClient } from "./sequencer.ts";
export type {
  BulkEntry,
  DeleteItem,
  GetState,
  SaveItem,
  StateClient,
  StateEntry,
  StateOperation,
} from "./state.ts";
export type { TopicEvent } from "./topic-event.ts";
export { bytes, type Content, json, text, type Value, type Writable } from "./value.ts";
