;; A hostile component's core module: it speaks to wit/epoll.wit with its bare hands, by whatever handles, pointers and
;; lengths the test tells it, and its allocator does harm while the host works.
;;
;;      64  the area for results
;;     128  the area for the results of calls made out of the allocator
;;     256  the list of changes
;;   32768  what the allocator answers, unless it is told otherwise
(module
  (import "epoll" "create" (func $create (param i32)))
  (import "epoll" "control" (func $control (param i32 i32 i32 i32)))
  (import "epoll" "wait" (func $wait (param i32 i32 i32 i32 i32 i64 i32)))
  (import "epoll" "close" (func $close (param i32)))

  (memory (export "memory") 1)

  ;; What the allocator does. Bits: 1 rewrites the list, 2 calls control, 4 calls wait, 8 calls create, 16 closes,
  ;; 32 grows the memory, 64 traps.
  (global $mischief (export "mischief") (mut i32) (i32.const 0))
  ;; What it answers.
  (global $answer (export "answer") (mut i32) (i32.const 32768))
  ;; The descriptor that it is after, the handle that it uses, and how many changes it rewrites.
  (global $prey (export "prey") (mut i32) (i32.const 0))
  (global $handle (export "handle") (mut i32) (i32.const 0))
  (global $changes (export "changes") (mut i32) (i32.const 1))
  ;; How often it was called.
  (global $allocations (export "allocations") (mut i32) (i32.const 0))

  ;; Writes a change that asks for EPOLLIN, with the descriptor as its slot.
  (func $change (export "change") (param $index i32) (param $operation i32) (param $fd i32)
    (local $at i32)
    (local.set $at (i32.add (i32.const 256) (i32.mul (local.get $index) (i32.const 20))))
    (i32.store (local.get $at) (local.get $operation))
    (i32.store offset=4 (local.get $at) (local.get $fd))
    (i32.store offset=8 (local.get $at) (i32.const 1))
    (i32.store offset=12 (local.get $at) (local.get $fd))
    (i32.store offset=16 (local.get $at) (i32.const 1)))

  ;; Has every change of the list add the prey.
  (func $rewrite (export "rewrite")
    (local $index i32)
    (loop $next
      (call $change (local.get $index) (i32.const 0) (global.get $prey))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $index) (global.get $changes)))))

  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $allocations (i32.add (global.get $allocations) (i32.const 1)))
    (if (i32.and (global.get $mischief) (i32.const 1)) (then (call $rewrite)))
    (if (i32.and (global.get $mischief) (i32.const 2))
      (then (call $control (global.get $handle) (i32.const 256) (global.get $changes) (i32.const 128))))
    (if (i32.and (global.get $mischief) (i32.const 4))
      (then
        (call $wait (global.get $handle) (i32.const 256) (global.get $changes) (i32.const 1) (i32.const 1)
          (i64.const 0) (i32.const 128))))
    (if (i32.and (global.get $mischief) (i32.const 8)) (then (call $create (i32.const 128))))
    (if (i32.and (global.get $mischief) (i32.const 16)) (then (call $close (global.get $handle))))
    (if (i32.and (global.get $mischief) (i32.const 32)) (then (drop (memory.grow (i32.const 1)))))
    (if (i32.and (global.get $mischief) (i32.const 64)) (then (unreachable)))
    (global.get $answer))

  ;; The imports, with whatever the test makes up.
  (func (export "create") (param i32) (call $create (local.get 0)))
  (func (export "control") (param i32 i32 i32 i32)
    (call $control (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "wait") (param $handle i32) (param $pointer i32) (param $length i32) (param $area i32)
    (call $wait (local.get $handle) (local.get $pointer) (local.get $length) (i32.const 64) (i32.const 1)
      (i64.const 0) (local.get $area)))
  (func (export "close") (param i32) (call $close (local.get 0))))
