import { register } from "@outrigger/plugin";
import { Inventory } from "./inventory";

register<Inventory>();
