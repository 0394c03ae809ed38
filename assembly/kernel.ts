/**
 * The kernel that this component is built for. The build puts each of `kernels/` in this place in turn; what is written
 * here is what an editor and the type checker see.
 */
export * from "./kernels/epoll";
