import { register } from "@outrigger/plugin";
import { Inventory, Settings } from "./inventory";

register<Inventory, Settings>();
