import {
  encodeText, EventService, Json, log, outcome, register, Request, Response, state, Tick, TopicEvent,
} from "@outrigger/plugin";

/** Keeps each order that comes over the topic, gives it to whoever asks, and says something every now and then. */
class Orders extends EventService {
  onEvent(event: TopicEvent): Response {
    const order = event.json();
    if (!order.ok || !order.value.get("id").isText) return outcome.drop();
    const id = order.value.get("id").text;
    const kept = state.save("orders", id, encodeText(order.value.toString()));
    return kept.ok ? outcome.success() : outcome.retry();
  }

  onTick(tick: Tick): Response {
    log.info("at " + tick.time + ": " + tick.text());
    return outcome.success();
  }

  onRequest(request: Request): Response {
    const path = request.segments();
    const found = state.get("orders", path[path.length - 1]);
    if (!found.ok) return Response.text(503, found.message);
    if (!found.value.exists) return Response.json(404, Json.object().set("error", "there is no such order"));
    return Response.text(200, found.value.text());
  }
}

register<Orders>();
