/** The components that the build has made, one for each kernel. The list below is the only place that names them. */
import { instantiate as epoll } from "./component/epoll/epoll.js";
import { instantiate as iocp } from "./component/iocp/iocp.js";
import { instantiate as kqueue } from "./component/kqueue/kqueue.js";

export const components = { epoll, iocp, kqueue };

/** A component speaks to one kind of kernel, and is called after it. */
export type ComponentName = keyof typeof components;
