{
  "targets": [
    {
      "target_name": "peers",
      "sources": ["peers.cc"],
      "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra"]
    }
  ]
}
