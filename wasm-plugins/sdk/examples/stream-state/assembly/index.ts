// Declares a property that a stream may set only once, and shows that this holds.
import { Action, FilterOf, log, Plugin, property, PropertyType, register, streamState } from "@outrigger/plugin";

const tenant = "tenant";

class Declarations extends Plugin {
  onConfigure(configuration: Uint8Array): bool {
    const declared = streamState.declareProperty(tenant, true, PropertyType.String);
    if (!declared.ok) log.error(declared.toString());
    return declared.ok;
  }
}

class Tenants extends FilterOf<Declarations> {
  onRequestHeaders(endOfStream: bool): Action {
    property.set(tenant, this.request.headers.getOr("x-tenant", "nobody"));
    return Action.Continue;
  }

  onResponseHeaders(endOfStream: bool): Action {
    const again = property.setBytes(tenant, new Uint8Array(1));
    this.response.headers.set("x-again", again.name);
    this.response.headers.set("x-tenant", property.textOr(tenant, "?"));
    return Action.Continue;
  }
}

register<Tenants>();
