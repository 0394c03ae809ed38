{
  "targets": [
    {
      "target_name": "lio_poller",
      "sources": ["host/addon.cc", "host/descriptor_delivery.cc", "host/guest.cc", "host/io.cc", "host/loop.cc", "host/notifiers.cc"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc": ["-std=c++17", "-O3", "-fno-plt", "-Wall", "-Wextra", "-fno-exceptions", "-fvisibility=hidden"],
      "conditions": [
        ["OS=='linux'", { "sources": ["host/kernels/epoll.cc"] }]
      ]
    }
  ]
}
