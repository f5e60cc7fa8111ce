#include "mock-aws/services/ecr/ecr.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mock-aws/services/ecr/store.h"
#include "tests/support/service_harness.h"

namespace coalmine::mock {
namespace {

using namespace std::chrono_literals;

class EcrTest : public testing::Test {
 protected:
  /// Uploads "hello" as a layer; its digest is known to the world.
  static constexpr const char* kHello =
      "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
  void create(const char* name = "app/v1", const char* mutability = "MUTABLE") {
    call.ok("CreateRepository", {{"repositoryName", name}, {"imageTagMutability", mutability}});
  }
  std::string begin(const char* name = "app/v1") {
    return call.ok("InitiateLayerUpload", {{"repositoryName", name}}).at("uploadId");
  }
  Json part(const std::string& upload, int first, int last, const char* base64) {
    return {{"repositoryName", "app/v1"},
            {"uploadId", upload},
            {"partFirstByte", first},
            {"partLastByte", last},
            {"layerPartBlob", base64}};
  }
  void push_layer() {
    const std::string upload = begin();
    call.ok("UploadLayerPart", part(upload, 0, 4, "aGVsbG8="));
    EXPECT_EQ(
        call.ok("CompleteLayerUpload",
                {{"repositoryName", "app/v1"}, {"uploadId", upload}, {"layerDigests", {kHello}}})
            .at("layerDigest"),
        kHello);
  }
  std::string manifest(const char* note) {
    return Json({{"schemaVersion", 2},
                 {"mediaType", "application/vnd.docker.distribution.manifest.v2+json"},
                 {"config", {{"mediaType", "c"}, {"size", 5}, {"digest", kHello}}},
                 {"layers", {{{"size", 5}, {"digest", kHello}}}},
                 {"note", note}})
        .dump();
  }
  Json image(const char* note, const char* tag = nullptr) {
    Json in = {{"repositoryName", "app/v1"}, {"imageManifest", manifest(note)}};
    if (tag != nullptr) in["imageTag"] = tag;
    return in;
  }
  std::string push(const char* note, const char* tag = nullptr) {
    return call.ok("PutImage", image(note, tag)).at("image").at("imageId").at("imageDigest");
  }
  Json list(const char* status = "ANY") {
    return call
        .ok("ListImages", {{"repositoryName", "app/v1"}, {"filter", {{"tagStatus", status}}}})
        .at("imageIds");
  }

  test::RecordingSink sink;
  Ecr ecr{Scope{}, Random{1}, sink};
  test::Caller call{ecr};
};

TEST_F(EcrTest, RepositoriesNameTheRegistry) {
  ecr.set_registry_host("127.0.0.1:9999");
  const Json made =
      call.ok("CreateRepository", {{"repositoryName", "my-app/service1-v1"}}).at("repository");
  EXPECT_EQ(made.at("repositoryUri"), "127.0.0.1:9999/my-app/service1-v1");
  EXPECT_EQ(made.at("repositoryArn"),
            "arn:aws:ecr:us-east-1:000000000000:repository/my-app/service1-v1");
  EXPECT_EQ(made.at("imageTagMutability"), "MUTABLE");
  EXPECT_EQ(made.at("encryptionConfiguration").at("encryptionType"), "AES256");
  EXPECT_EQ(call.ok("DescribeRepositories", Json::object()).at("repositories")[0], made);
}

TEST_F(EcrTest, TokensLastTwelveHours) {
  const Json data = call.ok("GetAuthorizationToken", Json::object()).at("authorizationData").at(0);
  EXPECT_EQ(data.at("proxyEndpoint"), "http://127.0.0.1:4566");
  EXPECT_EQ(data.at("expiresAt"), to_epoch_seconds(call.now + 12h));
  EXPECT_EQ(data.at("authorizationToken").get<std::string>().substr(0, 5), "QVdTO");  // "AWS:"
  EXPECT_EQ(ecr.check_password("guess", call.now), Ecr::Password::Unknown);
}

TEST_F(EcrTest, LayersThenManifest) {
  create();
  EXPECT_EQ(call.fails("PutImage", image("a", "latest")),
            std::string("LayersNotFoundException: Layers with digests '[") + kHello +
                "]' required for pushing image into repository with name 'app/v1' in the registry "
                "with id '000000000000' do not exist");
  push_layer();
  const std::string digest = push("a", "latest");
  EXPECT_EQ(digest, sha256_digest(manifest("a")));
  const Json layers = call.ok("BatchCheckLayerAvailability",
                              {{"repositoryName", "app/v1"}, {"layerDigests", {kHello, "x"}}});
  EXPECT_EQ(layers.at("layers")[0].at("layerAvailability"), "AVAILABLE");
  EXPECT_EQ(layers.at("failures")[0].at("failureCode"), "InvalidLayerDigest");
  const Json got = call.ok("BatchGetImage", {{"repositoryName", "app/v1"},
                                             {"imageIds",
                                              {{{"imageTag", "latest"}},
                                               {{"imageTag", "nope"}},
                                               Json::object(),
                                               {{"imageDigest", "x"}}}}});
  EXPECT_EQ(got.at("images")[0].at("imageManifest"), manifest("a"));
  ASSERT_EQ(got.at("failures").size(), 3U);
  EXPECT_EQ(got.at("failures")[0].at("failureCode"), "ImageNotFound");
  EXPECT_EQ(got.at("failures")[1].at("failureCode"), "MissingDigestAndTag");
  EXPECT_EQ(got.at("failures")[2].at("failureCode"), "InvalidImageDigest");
}

TEST_F(EcrTest, UploadsCheckOffsetsAndDigests) {
  create();
  const std::string upload = begin();
  const Json done = {
      {"repositoryName", "app/v1"}, {"uploadId", upload}, {"layerDigests", {kHello}}};
  EXPECT_EQ(call.fails("CompleteLayerUpload", done).substr(0, 21), "EmptyUploadException:");
  call.ok("UploadLayerPart", part(upload, 0, 3, "aGVsbA=="));
  EXPECT_EQ(call.fails("UploadLayerPart", part(upload, 0, 3, "aGVsbA==")),
            "InvalidLayerPartException: First byte of the layer part is 0 instead of 4");
  EXPECT_EQ(call.fails("UploadLayerPart", part(upload, 4, 9, "bw==")).substr(0, 27),
            "InvalidParameterException: ");
  EXPECT_EQ(call.fails("CompleteLayerUpload", done).substr(0, 22), "InvalidLayerException:");
  call.ok("UploadLayerPart", part(upload, 4, 4, "bw=="));
  EXPECT_EQ(call.fails("CompleteLayerUpload", done).substr(0, 27), "LayerPartTooSmallException:");
  EXPECT_EQ(call.fails("UploadLayerPart", part("none", 0, 0, "bw==")).substr(0, 24),
            "UploadNotFoundException:");
}

TEST_F(EcrTest, MutableTagMovesAndTheOldImageStays) {
  create();
  push_layer();
  const std::string first = push("a", "latest");
  EXPECT_EQ(call.fails("PutImage", image("a", "latest")).substr(0, 27),
            "ImageAlreadyExistsException");
  const std::string second = push("b", "latest");
  EXPECT_EQ(list("UNTAGGED"), Json::array({{{"imageDigest", first}}}));
  EXPECT_EQ(list("TAGGED"), Json::array({{{"imageDigest", second}, {"imageTag", "latest"}}}));
  EXPECT_EQ(list().size(), 2U);
}

TEST_F(EcrTest, ImmutableTagStays) {
  create("app/v1", "IMMUTABLE");
  push_layer();
  push("a", "1.0");
  EXPECT_EQ(call.fails("PutImage", image("b", "1.0")),
            "ImageTagAlreadyExistsException: The image tag '1.0' already exists in the 'app/v1' "
            "repository and cannot be overwritten because the tag is immutable.");
  call.ok("PutImageTagMutability",
          {{"repositoryName", "app/v1"}, {"imageTagMutability", "MUTABLE"}});
  push("b", "1.0");
}

TEST_F(EcrTest, ExclusionFiltersTurnTheRuleRound) {
  ecr::Repository repository;
  repository.mutability = "IMMUTABLE_WITH_EXCLUSION";
  repository.exclusion_filters = Json::parse(R"([{"filterType":"WILDCARD","filter":"dev-*"}])");
  EXPECT_FALSE(ecr::is_immutable(repository, "dev-7"));
  EXPECT_TRUE(ecr::is_immutable(repository, "v7"));
  repository.mutability = "MUTABLE_WITH_EXCLUSION";
  EXPECT_TRUE(ecr::is_immutable(repository, "dev-7"));
}

TEST_F(EcrTest, DeletingByTagAndByDigest) {
  create();
  push_layer();
  const std::string digest = push("a", "one");
  push("a", "two");
  const auto remove = [&](Json id) {
    return call.ok("BatchDeleteImage", {{"repositoryName", "app/v1"}, {"imageIds", {id}}});
  };
  remove({{"imageTag", "one"}});
  EXPECT_EQ(list(), Json::array({{{"imageDigest", digest}, {"imageTag", "two"}}}));
  remove({{"imageTag", "two"}});
  EXPECT_TRUE(list().empty());
  push("a", "one");
  push("a", "two");
  EXPECT_EQ(remove({{"imageDigest", digest}}).at("imageIds").size(), 2U);
  EXPECT_TRUE(list().empty());
}

TEST_F(EcrTest, ManifestListsHoldTheirChildren) {
  create();
  push_layer();
  const std::string child = push("a");
  const auto index = [&](const std::string& digest) {
    return Json{{"repositoryName", "app/v1"},
                {"imageTag", "multi"},
                {"imageManifest", Json{{"manifests", {{{"digest", digest}}}}}.dump()}};
  };
  EXPECT_EQ(call.fails("PutImage", index(kHello)).substr(0, 33),
            "ReferencedImagesNotFoundException");
  call.ok("PutImage", index(child));
  const Json reply = call.ok(
      "BatchDeleteImage", {{"repositoryName", "app/v1"}, {"imageIds", {{{"imageDigest", child}}}}});
  EXPECT_EQ(reply.at("failures")[0].at("failureCode"), "ImageReferencedByManifestList");
}

TEST_F(EcrTest, ResolvesByPathWhateverTheHost) {
  create();
  push_layer();
  const std::string latest = push("a", "latest"), next = push("b", "v2");
  const std::string aws = "511522223657.dkr.ecr.ap-south-1.amazonaws.com/app/v1";
  EXPECT_EQ(ecr.resolve(aws), latest);
  EXPECT_EQ(ecr.resolve(aws + ":v2"), next);
  EXPECT_EQ(ecr.resolve(aws + "@" + latest), latest);
  EXPECT_EQ(ecr.resolve(aws + ":v2@" + latest), latest);
  EXPECT_EQ(ecr.resolve("127.0.0.1:4566/app/v1:v2"), next);
  EXPECT_EQ(ecr.resolve("localhost/app/v1"), latest);
  EXPECT_EQ(ecr.resolve("app/v1"), latest);
  EXPECT_EQ(ecr.resolve(aws + ":v3"), std::nullopt);
  EXPECT_EQ(ecr.resolve("v1"), std::nullopt);
}

TEST_F(EcrTest, DeletesOnlyEmptyRepositoriesUnlessForced) {
  create();
  push_layer();
  push("a", "latest");
  EXPECT_EQ(call.fails("DeleteRepository", {{"repositoryName", "app/v1"}}).substr(0, 28),
            "RepositoryNotEmptyException:");
  call.ok("DeleteRepository", {{"repositoryName", "app/v1"}, {"force", true}});
  EXPECT_EQ(ecr.blobs().size_bytes(), 0U);
  EXPECT_EQ(call.fails("DescribeRepositories", {{"repositoryNames", {"app/v1"}}}),
            "RepositoryNotFoundException: The repository with name 'app/v1' does not exist in the "
            "registry with id '000000000000'");
}

TEST_F(EcrTest, UnknownImageFailsDescribe) {
  create();
  EXPECT_EQ(call.fails("DescribeImages",
                       {{"repositoryName", "app/v1"}, {"imageIds", {{{"imageTag", "x"}}}}}),
            "ImageNotFoundException: The image with imageId {imageDigest:'null', imageTag:'x'} "
            "does not exist within the repository with name 'app/v1' in the registry with id "
            "'000000000000'");
}

TEST_F(EcrTest, LifecycleRulesAreChecked) {
  create();
  const auto rule = [](int priority, const char* status) {
    return Json{{"rulePriority", priority},
                {"selection",
                 {{"tagStatus", status}, {"countType", "imageCountMoreThan"}, {"countNumber", 3}}},
                {"action", {{"type", "expire"}}}};
  };
  const auto put = [&](Json rules) {
    return call.fails(
        "PutLifecyclePolicy",
        {{"repositoryName", "app/v1"}, {"lifecyclePolicyText", Json{{"rules", rules}}.dump()}});
  };
  EXPECT_EQ(put({rule(1, "untagged"), rule(2, "any")}), "ok");
  EXPECT_NE(put({rule(1, "any"), rule(2, "untagged")}), "ok");
  EXPECT_NE(put({rule(1, "untagged"), rule(1, "any")}), "ok");
  EXPECT_NE(put({rule(1, "tagged")}), "ok");
  call.ok("DeleteLifecyclePolicy", {{"repositoryName", "app/v1"}});
  EXPECT_EQ(call.fails("GetLifecyclePolicy", {{"repositoryName", "app/v1"}}).substr(0, 32),
            "LifecyclePolicyNotFoundException");
}

TEST(BlobStore, IsFullAtItsLimit) {
  BlobStore store(5);
  EXPECT_TRUE(store.put("12345"));
  EXPECT_TRUE(store.put("12345")) << "the same bytes again cost nothing";
  EXPECT_FALSE(store.put("6"));
  store.begin_upload("u", "r");
  EXPECT_FALSE(store.append("u", "6"));
  store.erase(sha256_digest("12345"));
  EXPECT_TRUE(store.append("u", "6"));
  EXPECT_EQ(store.take_upload("u"), "6");
  EXPECT_EQ(store.size_bytes(), 0U);
}

}  // namespace
}  // namespace coalmine::mock
