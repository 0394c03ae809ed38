{
  "target_defaults": { "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra"] },
  "targets": [
    { "target_name": "peers", "sources": ["peers.cc"] },
    { "target_name": "uv_poll", "sources": ["uv_poll.cc"] }
  ]
}
