// A plugin that uses every part of the library, so that a host can see what each of them does. `root id` chooses: `tour`
// is a filter, `desk` a service that waits for the runtime.
import { register } from "@outrigger/plugin";
import { Desk } from "./desk";
import { Tour } from "./tour";

register<Tour>("tour");
register<Desk>("desk");
