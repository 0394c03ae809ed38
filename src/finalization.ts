/**
 * Keeps V8 calling finalizers, which give back what users drop.
 *
 * In Node before 26, V8 calls no finalizer of anybody any more once its task for that has found no registry with something
 * to call, because the only one was collected meanwhile. The registries that jco makes belong to an instance of a component,
 * and go with the kernel that it is for. So there is one here that lasts, and that has something to call after each
 * collection.
 */
const lasting = new FinalizationRegistry<undefined>(registerGarbage);

/** To be called once in each thread; then it calls itself. */
export function registerGarbage(): void {
  lasting.register({}, undefined);
}
