/**
 * What kernels have in common whose descriptors are small numbers, and whose registrations go on reporting until they
 * are changed. A kernel file of this kind exports all of it as its own.
 */
import { Registrations } from "./registrations";

/** A descriptor as JavaScript's numbers give it. */
export type NumberDescriptor = i32;

/** The largest descriptor; the smallest is as far below -1. */
export const LARGEST_DESCRIPTOR: f64 = 2147483647;

// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function descriptorOfNumber(fd: NumberDescriptor): i32 {
  return fd;
}

/** The bytes that a poller keeps to find a descriptor's place in the slab: none, for its number is the place. */
export const PLACES_BYTES: usize = 0;

/** The place of a descriptor; below 0 if it cannot have one. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function placeOf(_places: usize, fd: i32): i32 {
  return fd;
}

/** As `placeOf`, for one that is at least 0 and is to be added: below 0 if there is no memory for it. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function placeFor(_places: usize, _registrations: Registrations, fd: i32): i32 {
  return fd;
}

/** Lets another descriptor have a place. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function vacate(_places: usize, _place: i32): void {}

/** Gives the memory of all places back. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function clearPlaces(_places: usize): void {}

/** Whether this kernel has all modes. */
export const HAS_ALL_MODES: bool = true;

/** Whether this kernel has a mode. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function hasMode(_mode: u32): bool {
  return true;
}

/**
 * Whether the kernel watches by requests, one after the other for a registration, each of which ends with what it
 * reports. Then what is held says whether a request is under way; a registration can be armed only when none is; what
 * an event leaves behind has to be armed anew; and a request outlives its registration until its end has been seen.
 */
export const COMPLETES: bool = false;

/** The same: what is held where no request is under way. */
export const IDLE: u32 = 0;

/** The same: what is held of a request that is cancelled, until its end has been seen. */
export const CANCELLED: u32 = 0;

/** Where the kernel completes requests: what is held after a change of what is held is carried out. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function held(_applied: u32, hold: u32): u32 {
  return hold;
}

/** The same after a registration has ended. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function abandoned(applied: u32): u32 {
  return applied;
}

/** The same: whether the kernel has said, in a way that no wait has taken yet, that a descriptor was closed. */
// @ts-ignore: top-level decorators are AssemblyScript's
@inline
export function wasClosed(_handle: u32, _place: i32): bool {
  return false;
}
